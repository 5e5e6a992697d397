#include "mase/run/page/page.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/files.h"
#include "mase/base/table.h"
#include "mase/base/table_report.h"
#include "mase/run/execution_tables.h"
#include "mase/run/figure.h"
#include "mase/run/goal_report.h"
#include "mase/run/measure.h"
#include "mase/run/page/assets.h"
#include "mase/run/page/html.h"
#include "mase/run/page/plots.h"
#include "mase/run/run_table.h"

namespace mase {
namespace {

constexpr int64_t kMaxGraphBytes = 512 << 10;  // Of a picture: a page is to stay small.

std::string Paragraph(absl::string_view text) {
  return text.empty() ? "" : absl::StrCat("<p>", EscapeHtml(text), "</p>\n");
}

std::string Tile(absl::string_view name, absl::string_view value, absl::string_view more = "") {
  return absl::StrCat(
      "<li>", EscapeHtml(name), "<strong>", EscapeHtml(value), "</strong>",
      more.empty() ? "" : absl::StrCat("<span class=\"muted\">", EscapeHtml(more), "</span>"),
      "</li>\n");
}

std::string Tiles(const RunReport& report) {
  std::string tiles;
  if (const MetricReport* accuracy = FindMetric(report, "accuracy");
      accuracy != nullptr && accuracy->has_value()) {
    absl::StrAppend(
        &tiles, Tile("accuracy", absl::StrFormat("%.3f", accuracy->value()),
                     accuracy->has_low() ? absl::StrFormat("%.3f to %.3f (95 %%)", accuracy->low(),
                                                           accuracy->high())
                                         : ""));
  }
  if (const MetricReport* loss = FindMetric(report, "loss"); loss != nullptr && loss->has_value()) {
    absl::StrAppend(&tiles, Tile("loss", absl::StrFormat("%.4f", loss->value()), loss->split()));
  }
  if (report.has_model()) {
    absl::StrAppend(&tiles, Tile("parameters", WithCommas(report.model().parameters())));
  }
  if (report.seconds() > 0) {
    absl::StrAppend(&tiles, Tile("time", absl::StrFormat("%.2f s", report.seconds())));
  }
  return tiles.empty() ? "" : absl::StrCat("<ul class=\"tiles\">\n", tiles, "</ul>\n");
}

std::string What(const RunReport& report) {
  const std::string& status = report.status();
  std::string html =
      absl::StrCat("<p><span class=\"", status == "ok" ? "ok" : "bad", "\">", EscapeHtml(status),
                   "</span> ", EscapeHtml(report.error()), "</p>\n");
  if (!report.data().description().empty()) {
    absl::StrAppend(&html, Paragraph(absl::StrCat("Data set '", report.data().name(),
                                                  "': ", report.data().description())));
  }
  if (!report.model().loaded_from().empty()) {
    absl::StrAppend(&html, Paragraph(absl::StrCat("Loaded from ", report.model().loaded_from())));
  }
  if (!report.started().empty()) {
    absl::StrAppend(
        &html, Paragraph(absl::StrCat("Started ", report.started(), ", seed ", report.seed())));
  }
  if (report.command_line_size() > 0) {
    absl::StrAppend(&html, "<pre>", EscapeHtml(absl::StrJoin(report.command_line(), " ")),
                    "</pre>\n");
  }
  return html;
}

// Metrics by name, a column for each stage; without the epochs, which are
// curves.
std::string Metrics(const RunReport& report) {
  std::vector<std::string> names, stages;
  std::map<std::pair<std::string, std::string>, const MetricReport*> cells;
  const auto remember = [](std::vector<std::string>& all, const std::string& one) {
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  };
  for (const MetricReport& metric : report.metrics()) {
    if (metric.stage().rfind("epoch ", 0) == 0) continue;
    const std::string& stage = metric.stage();
    remember(names, metric.name());
    remember(stages, stage);
    cells[{metric.name(), stage}] = &metric;
  }
  std::vector<Column> columns = {{"metric"}};
  for (const std::string& stage : stages) columns.push_back({.name = stage, .decimals = 4});
  Table table("metrics", "", std::move(columns));
  for (const std::string& name : names) {
    std::vector<Cell> row = {name};
    for (const std::string& stage : stages) {
      const auto found = cells.find({name, stage});
      const bool known = found != cells.end() && found->second->has_value();
      const double value = known ? found->second->value() : NAN;
      row.push_back(!known                       ? Cell()
                    : value == std::trunc(value) ? Cell(static_cast<int64_t>(value))
                                                 : Cell(value));
    }
    table.AddRow(std::move(row));
  }
  std::string html = TableHtml(table);
  for (const ComparisonReport& comparison : report.comparisons()) {
    absl::StrAppend(&html, Paragraph(ComparisonText(comparison)));
  }
  return html;
}

std::string Classes(const RunReport& report) {
  Table table("classes", "By class",
              {{"class"},
               {.name = "precision", .decimals = 3},
               {.name = "recall", .decimals = 3},
               {.name = "F1", .decimals = 3},
               {"rows"},
               {"predicted"},
               {"correct"}});
  for (const ClassReport& one : report.classes()) {
    table.AddRow({one.name(), one.precision(), one.recall(), one.f1(), one.rows(), one.predicted(),
                  one.correct()});
  }
  return TableHtml(table);
}

// Rows of a class by what they were taken for, the darker the larger their
// share.
std::string Confusion(const RunReport& report) {
  if (report.classes_size() == 0 || report.classes(0).taken_for_size() != report.classes_size()) {
    return "";
  }
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"Confusion matrix\"><table>"
      "<caption>Confusion matrix: rows of a class by what they "
      "were taken for</caption>\n"
      "<thead><tr><th scope=\"col\">class</th>";
  for (const ClassReport& one : report.classes()) {
    absl::StrAppend(&html, "<th scope=\"col\" class=\"n\">", EscapeHtml(one.name()), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead>\n<tbody>\n");
  for (const ClassReport& one : report.classes()) {
    absl::StrAppend(&html, "<tr><th scope=\"row\">", EscapeHtml(one.name()), "</th>");
    for (const uint32_t count : one.taken_for()) {
      const double share = one.rows() == 0 ? 0 : static_cast<double>(count) / one.rows();
      absl::StrAppendFormat(&html, "<td class=\"n shaded\" style=\"--s:%.2f\">%s</td>", share,
                            WithCommas(count));
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  return absl::StrCat(html, "</tbody></table></div>\n");
}

// As a picture, in which no script of a file from somewhere else can run.
std::string GraphPicture(const FinishedRun& run) {
  std::string html;
  for (const std::string& file : run.report.artifacts()) {
    const bool is =
        file == "graph.svg" || (file.size() > 10 && file.substr(file.size() - 10) == "/graph.svg");
    if (!is || file.find("..") != std::string::npos) continue;
    const absl::StatusOr<std::string> svg =
        ReadFile(absl::StrCat(run.path, "/", file), kMaxGraphBytes);
    if (!svg.ok()) {
      absl::StrAppend(&html, Paragraph(absl::StrCat(file, ": ", svg.status().message())));
      continue;
    }
    absl::StrAppend(&html,
                    "<figure><img alt=\"The graph of the net, a box a node\" "
                    "src=\"data:image/svg+xml;base64,",
                    absl::Base64Escape(*svg), "\"><figcaption>", EscapeHtml(file),
                    "</figcaption></figure>\n");
  }
  return html;
}

std::string RunTables(const RunReport& report, absl::string_view name) {
  for (const TableReport& table : report.tables()) {
    if (table.name() != name) continue;
    const absl::StatusOr<Table> typed = TableOf(table);
    return typed.ok() ? TableHtml(*typed) : Paragraph(typed.status().message());
  }
  return "";
}

std::string PassTables(const RunReport& report) {
  std::string html;
  for (const PassReport& pass : report.passes()) {
    for (const TableReport& table : pass.tables()) {
      const absl::StatusOr<Table> typed = TableOf(table);
      absl::StrAppend(&html, "<h3>", EscapeHtml(pass.label().empty() ? pass.name() : pass.label()),
                      "</h3>\n",
                      typed.ok() ? TableHtml(*typed) : Paragraph(typed.status().message()));
    }
  }
  return html;
}

std::string Passes(const RunReport& report) {
  Table table("passes", "",
              {{"pass"},
               {"label"},
               {"changed"},
               {"counts"},
               {.name = "time", .unit = "ms", .decimals = 2}});
  for (const PassReport& pass : report.passes()) {
    const std::map<std::string, double> counts(pass.counts().begin(), pass.counts().end());
    table.AddRow({pass.name(), pass.label(), pass.changed(),
                  absl::StrJoin(counts, ", ",
                                [](std::string* out, const auto& count) {
                                  absl::StrAppend(out, count.first, " ", count.second);
                                }),
                  1e3 * pass.seconds()});
  }
  return TableHtml(table);
}

std::string List(const google::protobuf::RepeatedPtrField<std::string>& lines) {
  if (lines.empty()) return "";
  std::string html = "<ul>\n";
  for (const std::string& line : lines) absl::StrAppend(&html, "<li>", EscapeHtml(line), "</li>\n");
  return absl::StrCat(html, "</ul>\n");
}

std::string Versions(const RunReport& report) {
  const std::map<std::string, std::string> sorted(report.versions().begin(),
                                                  report.versions().end());
  Table table("versions", "", {{"part"}, {.name = "version", .align = Align::kLeft}});
  for (const auto& [part, version] : sorted) table.AddRow({part, version});
  return TableHtml(table);
}

std::string Goals(const RunReport& report) {
  return report.goals().empty() ? "" : TableHtml(GoalTable(report));
}

// How the net was computed, and how long it takes in each way.
std::string ExecutionOf(const RunReport& report) {
  std::string html;
  const auto add_table = [&html](const Table& table) {
    if (table.num_rows() > 0) absl::StrAppend(&html, TableHtml(table));
  };
  const auto add_sentence = [&html](const std::string& sentence) {
    if (!sentence.empty()) absl::StrAppend(&html, Paragraph(sentence));
  };
  add_table(ExecutionTable(report));
  add_table(NodesNotOnCodes(report));
  add_sentence(NodesVerdict(report));
  add_sentence(DifferenceVerdict(report));
  add_table(TimingTable(report));
  for (const std::string& verdict : TimingVerdicts(report)) add_sentence(verdict);
  return html;
}

// One run; ids of its sections begin with `prefix`.
std::string RunHtml(const FinishedRun& run, const std::string& prefix, Plots& plots,
                    absl::string_view own = "") {
  const RunReport& report = run.report;
  const auto id = [&](const char* name) { return absl::StrCat(prefix, name); };
  return absl::StrCat(
      What(report), Tiles(report), own,
      PageSection(id("warnings"), "Warnings", List(report.warnings())),
      PageSection(id("goals"), "Goals", Goals(report)),
      PageSection(id("metrics"), "Metrics", Metrics(report)),
      PageSection(id("classes"), "Classes", absl::StrCat(Confusion(report), Classes(report))),
      PageSection(id("curves"), "Training", TrainingCurves(run, plots)),
      PageSection(id("graph"), "Graph", GraphPicture(run)),
      PageSection(id("nodes"), "Nodes", RunTables(report, "nodes")),
      PageSection(id("execution"), "Execution", ExecutionOf(report)),
      PageSection(id("histograms"), "Weights, float and quantized", Histograms(report, plots)),
      PageSection(id("found"), "What the passes found", PassTables(report)),
      PageSection(id("passes"), "Passes and their time", Passes(report)),
      PageSection(id("settings"), "Settings and where they are from",
                  RunTables(report, "settings")),
      PageSection(id("files"), "Files", List(report.artifacts())),
      PageSection(id("versions"), "Versions", Versions(report)));
}

std::string TitleOf(const FinishedRun& run) {
  const RunReport& report = run.report;
  return absl::StrCat(report.action().empty() ? "run" : report.action(), " ", report.model().name(),
                      report.data().name().empty() ? "" : " on ", report.data().name());
}

std::string ManyHtml(absl::Span<const FinishedRun> runs, Plots& plots) {
  std::string html;
  const absl::StatusOr<Table> table = RunTable(runs, DefaultRunColumns(), "");
  if (table.ok()) html = PageSection("runs", "Runs", TableHtml(*table));
  absl::StrAppend(&html, PageSection("curves", "Training", CurvesOfRuns(runs, plots)));
  std::string each;
  for (size_t i = 0; i < runs.size(); ++i) {
    absl::StrAppend(&each, "<details><summary>", EscapeHtml(runs[i].name), ": ",
                    EscapeHtml(TitleOf(runs[i])), "</summary>\n",
                    RunHtml(runs[i], absl::StrCat("run", i, "-"), plots), "</details>\n");
  }
  return absl::StrCat(html, PageSection("each", "Each run", each));
}

std::string WholePage(absl::string_view title, absl::string_view body, const Plots& plots) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>",
      EscapeHtml(title), "</title>\n<style>\n", PageStyle(),
      "</style>\n</head>\n<body>\n<header>\n<h1>", EscapeHtml(title), "</h1>\n",
      "</header>\n<main>\n", body, "</main>\n<script type=\"application/json\" id=\"plots\">",
      plots.Json(), "</script>\n<script>\n", D3Script(), "</script>\n<script>\n", PageScript(),
      "</script>\n</body>\n</html>\n");
}

}  // namespace

std::string PageSection(absl::string_view id, absl::string_view title, absl::string_view body) {
  if (body.empty()) return "";
  return absl::StrCat("<section id=\"", id, "\">\n<h2>", EscapeHtml(title), "</h2>\n", body,
                      "</section>\n");
}

std::string PageOf(absl::Span<const FinishedRun> runs, const PageSections& own) {
  Plots plots;
  const bool one = runs.size() == 1;
  const std::string title = one ? TitleOf(runs[0]) : absl::StrCat(runs.size(), " runs");
  const std::string body =
      one ? RunHtml(runs[0], "", plots, own ? own(plots) : "") : ManyHtml(runs, plots);
  return WholePage(title, body, plots);
}

std::string PageOfTables(absl::string_view title, absl::Span<const Table* const> tables) {
  std::string body;
  for (const Table* table : tables) {
    absl::StrAppend(&body, PageSection(table->name(), table->title(), TableHtml(*table)));
  }
  return WholePage(title, body, Plots());
}

}  // namespace mase
