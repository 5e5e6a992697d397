#include "mase/run/sweep_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/interop/svg_curves.h"
#include "mase/interop/svg_heat_map.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kAccuracy[] = "accuracy", kLoss[] = "loss";
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// The value as programs want it: a number, if it is one.
Cell ValueCell(const std::string& text) {
  int64_t whole;
  double real;
  if (absl::SimpleAtoi(text, &whole)) return whole;
  if (absl::SimpleAtod(text, &real) && std::isfinite(real)) return real;
  return text;
}

// Names of figures in the order in which they first come.
std::vector<std::string> FigureNames(absl::Span<const SweepRow> rows) {
  std::vector<std::string> names;
  for (const SweepRow& row : rows) {
    for (const auto& [name, value] : row.figures) {
      if (!absl::c_linear_search(names, name)) names.push_back(name);
    }
  }
  return names;
}

double FigureOf(const SweepRow& row, absl::string_view name) {
  for (const auto& [known, value] : row.figures) {
    if (known == name) return value;
  }
  return kNothing;
}

// The ends of paths, from a dot on, as long as they need to be to differ.
std::vector<std::string> ShortNames(const std::vector<std::string>& settings) {
  std::vector<std::string> names;
  for (const std::string& setting : settings) {
    size_t begin = setting.rfind('.');
    const auto others = [&] {
      return absl::c_count_if(settings, [&](const std::string& other) {
        return other == setting.substr(begin + 1) || absl::EndsWith(other, setting.substr(begin));
      });
    };
    while (begin != std::string::npos && others() > 1) {
      begin = begin == 0 ? std::string::npos : setting.rfind('.', begin - 1);
    }
    names.push_back(begin == std::string::npos ? setting : setting.substr(begin + 1));
  }
  return names;
}

// How soon a figure gives way on a narrow terminal.
int RankOf(absl::string_view figure) {
  if (figure == kAccuracy || figure == kLoss) return 0;
  const bool of_pass = absl::StrContains(figure, '.');
  const bool stage = of_pass || absl::StartsWith(figure, "validation_") ||
                     absl::StartsWith(figure, "original_") || figure == "train_loss";
  return stage ? 2 : 3;
}

// The numbers of a pass's result, `path` being what is around them.
void AddNumbers(const google::protobuf::Struct& result, const std::string& path, int depth,
                std::vector<std::pair<std::string, double>>& figures) {
  constexpr int kDeepest = 4;
  std::map<std::string, const google::protobuf::Value*> sorted;
  for (const auto& [key, value] : result.fields()) sorted[key] = &value;
  for (const auto& [key, value] : sorted) {
    const std::string name = absl::StrCat(path, ".", key);
    if (value->has_number_value()) figures.emplace_back(name, value->number_value());
    if (value->has_struct_value() && depth < kDeepest) {
      AddNumbers(value->struct_value(), name, depth + 1, figures);
    }
  }
}

// The values of one setting, numbers by size, else as they come.
std::vector<std::string> ValuesOf(const SweepPoints& points, size_t setting) {
  std::vector<std::string> values;
  bool numbers = true;
  for (const std::vector<std::string>& point : points.points) {
    if (absl::c_linear_search(values, point[setting])) continue;
    values.push_back(point[setting]);
    double unused;
    numbers &= absl::SimpleAtod(point[setting], &unused);
  }
  if (!numbers) return values;
  absl::c_stable_sort(values, [](const std::string& a, const std::string& b) {
    double x = 0, y = 0;
    return absl::SimpleAtod(a, &x) && absl::SimpleAtod(b, &y) && x < y;
  });
  return values;
}

size_t IndexOf(const std::vector<std::string>& values, const std::string& value) {
  return static_cast<size_t>(absl::c_find(values, value) - values.begin());
}

std::string HeatMap(const std::string& title, const std::string& figure, const SweepPoints& points,
                    absl::Span<const SweepRow> rows) {
  HeatMapPicture picture = {.title = title,
                            .x_label = points.settings[1],
                            .y_label = points.settings[0],
                            .columns = ValuesOf(points, 1),
                            .rows = ValuesOf(points, 0)};
  picture.values.assign(picture.rows.size(), std::vector<double>(picture.columns.size(), kNothing));
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<std::string>& point = points.points[i];
    picture.values[IndexOf(picture.rows, point[0])][IndexOf(picture.columns, point[1])] =
        FigureOf(rows[i], figure);
  }
  return HeatMapAsSvg(picture);
}

std::string Curves(const std::string& title, const std::string& figure, const SweepPoints& points,
                   absl::Span<const SweepRow> rows) {
  size_t along = 0;
  for (size_t i = 1; i < points.settings.size(); ++i) {
    if (ValuesOf(points, i).size() > ValuesOf(points, along).size()) along = i;
  }
  Picture picture = {.title = title, .x_label = points.settings[along], .y_label = figure};
  picture.x_names = ValuesOf(points, along);
  absl::btree_map<std::string, Curve> curves;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<std::string>& point = points.points[i];
    std::vector<std::string> others;
    for (size_t j = 0; j < point.size(); ++j) {
      if (j != along) others.push_back(absl::StrCat(points.settings[j], "=", point[j]));
    }
    const double y = FigureOf(rows[i], figure);
    if (!std::isfinite(y)) continue;
    Curve& curve = curves[absl::StrJoin(others, ", ")];
    curve.points.emplace_back(static_cast<double>(IndexOf(picture.x_names, point[along])), y);
  }
  for (auto& [name, curve] : curves) {
    curve.name = name;
    absl::c_sort(curve.points);
    picture.curves.push_back(std::move(curve));
  }
  return CurvesAsSvg(picture);
}

Json JsonOf(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell.value())) return *whole;
  if (const auto* real = std::get_if<double>(&cell.value())) return *real;
  return std::get<std::string>(cell.value());
}

}  // namespace

void FillSweepRow(const RunReport& report, SweepRow& row) {
  row.status = report.status();
  row.error = report.error();
  row.seconds = report.seconds();
  const std::string best_epoch =
      report.has_best_epoch() ? absl::StrCat("epoch ", report.best_epoch()) : "";
  std::vector<std::pair<std::string, double>> last, original, epoch;
  for (const MetricReport& metric : report.metrics()) {
    if (!metric.has_value()) continue;
    const std::pair<std::string, double> figure = {metric.name(), metric.value()};
    if (metric.stage() == "original") {
      original.emplace_back(absl::StrCat("original_", figure.first), figure.second);
    } else if (!absl::StartsWith(metric.stage(), "epoch ")) {
      // A later stage is what the run left: the trained net, not what training began with.
      const auto known =
          absl::c_find_if(last, [&](const auto& other) { return other.first == figure.first; });
      if (known == last.end()) {
        last.push_back(figure);
      } else {
        known->second = figure.second;
      }
    } else if (metric.stage() == best_epoch) {
      epoch.emplace_back(absl::StrCat(metric.split(), "_", figure.first), figure.second);
    }
  }
  // Accuracy and loss in front, then those to hold against them, then the rest.
  absl::c_stable_partition(last, [](const auto& figure) { return RankOf(figure.first) == 0; });
  const auto rest =
      absl::c_find_if(last, [](const auto& figure) { return RankOf(figure.first) > 0; });
  row.figures.assign(last.begin(), rest);
  for (const auto* more : {&epoch, &original}) {
    row.figures.insert(row.figures.end(), more->begin(), more->end());
  }
  row.figures.insert(row.figures.end(), rest, last.end());
  for (const PassReport& pass : report.passes()) {
    AddNumbers(pass.result(), pass.label().empty() ? pass.name() : pass.label(), 0, row.figures);
  }
}

Table SweepTable(absl::string_view action, const SweepPoints& points,
                 absl::Span<const SweepRow> rows) {
  std::vector<Column> columns;
  for (const std::string& name : ShortNames(points.settings)) columns.push_back({name});
  const std::vector<std::string> figures = FigureNames(rows);
  for (const std::string& figure : figures) {
    columns.push_back({.name = figure, .decimals = 4, .rank = RankOf(figure)});
  }
  const bool all_well = absl::c_all_of(rows, [](const SweepRow& row) { return row.error.empty(); });
  columns.push_back({.name = "seconds", .decimals = 2, .rank = 1});
  columns.push_back({.name = "status", .rank = 1});
  columns.push_back({.name = "run", .rank = 5});
  columns.push_back({.name = "error", .rank = all_well ? 4 : 0});
  Table table("sweep", absl::StrCat("Sweep of ", action, ": ", rows.size(), " runs"),
              std::move(columns));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<Cell> cells;
    for (const std::string& value : points.points[i]) cells.push_back(ValueCell(value));
    for (const std::string& figure : figures) {
      const double value = FigureOf(rows[i], figure);
      cells.push_back(std::isfinite(value) ? Cell(value) : Cell());
    }
    cells.push_back(rows[i].seconds > 0 ? Cell(rows[i].seconds) : Cell());
    cells.push_back(rows[i].status);
    cells.push_back(rows[i].run);
    cells.push_back(rows[i].error.empty() ? Cell() : Cell(rows[i].error));
    table.AddRow(std::move(cells));
  }
  return table;
}

std::string SweepJson(absl::string_view action, const SweepPoints& points,
                      absl::Span<const SweepRow> rows) {
  Json json = {{"action", std::string(action)}};
  json["points"] = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    Json settings = Json::object(), metrics = Json::object();
    for (size_t j = 0; j < points.settings.size(); ++j) {
      settings[points.settings[j]] = JsonOf(ValueCell(points.points[i][j]));
    }
    for (const auto& [name, value] : rows[i].figures) metrics[name] = value;
    json["points"].push_back({{"run", rows[i].run},
                              {"status", rows[i].status},
                              {"settings", settings},
                              {"metrics", metrics},
                              {"seconds", rows[i].seconds},
                              {"error", rows[i].error}});
  }
  return json.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

std::string SweepPlot(absl::string_view action, const SweepPoints& points,
                      absl::Span<const SweepRow> rows) {
  for (const char* figure : {kAccuracy, kLoss}) {
    const bool known = absl::c_any_of(
        rows, [&](const SweepRow& row) { return std::isfinite(FigureOf(row, figure)); });
    if (!known) continue;
    const std::string title = absl::StrCat("sweep of ", action, ": ", figure);
    return points.settings.size() == 2 ? HeatMap(title, figure, points, rows)
                                       : Curves(title, figure, points, rows);
  }
  return "";
}

}  // namespace mase
