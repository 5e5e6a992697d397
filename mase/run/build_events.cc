#include "mase/run/build_events.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "mase/base/files.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = 256 << 20;
constexpr size_t kMaxEventBytes = 16 << 20;
constexpr int kMaxEvents = 1'000'000;
constexpr int kMaxDepth = 64;
constexpr int kMaxRows = 1000;  // Of a table; more are counted.
constexpr size_t kMaxCellBytes = 200;

const Json& At(const Json& json, absl::string_view key) {
  static const Json* const nothing = new Json();
  if (!json.is_object()) return *nothing;
  const auto found = json.find(std::string(key));
  return found == json.end() ? *nothing : *found;
}

// What a table may show of a text.
std::string Text(const Json& json) {
  if (!json.is_string()) return "";
  return Shortened(Printable(json.get_ref<const std::string&>()), kMaxCellBytes);
}

// 64-bit integers are texts in the JSON of protobuf. 0 where there is none.
int64_t Number(const Json& json) {
  if (json.is_number_integer()) return json.get<int64_t>();
  int64_t number = 0;
  if (!json.is_string() || !absl::SimpleAtoi(json.get_ref<const std::string&>(), &number)) return 0;
  return number;
}

bool Truth(const Json& json) { return json.is_boolean() && json.get<bool>(); }

double Seconds(int64_t milliseconds) { return static_cast<double>(milliseconds) / 1000; }

// Adds rows up to kMaxRows, and at the end says how many more there were.
class Rows {
 public:
  explicit Rows(Table& table) : table_(table) {}
  void Add(std::vector<Cell> row) {
    if (table_.num_rows() < kMaxRows) {
      table_.AddRow(std::move(row));
    } else {
      ++left_out_;
    }
  }
  void End() {
    if (left_out_ == 0) return;
    std::vector<Cell> row(table_.columns().size());
    row[0] = absl::StrCat("and ", left_out_, " more");
    table_.AddRow(std::move(row));
  }

 private:
  Table& table_;
  int64_t left_out_ = 0;
};

// Takes the events one by one.
class Summing {
 public:
  void Take(const Json& event) {
    const Json& id = At(event, "id");
    Begin(At(event, "started"));
    if (const Json& configured = At(event, "configured"); configured.is_object()) {
      const std::string kind = Text(At(configured, "targetKind"));
      if (absl::StartsWith(kind, "mase_")) {
        pipelines_[Text(At(At(id, "targetConfigured"), "label"))] = {kind};
      }
    }
    if (const Json& completed = At(event, "completed"); completed.is_object()) {
      Complete(Text(At(At(id, "targetCompleted"), "label")), Truth(At(completed, "success")));
    }
    if (const Json& action = At(event, "action"); action.is_object()) Action(id, action);
    if (const Json& result = At(event, "testResult"); result.is_object()) {
      Test& test = tests_[Text(At(At(id, "testResult"), "label"))];
      test.runs += 1;
      test.cached += Truth(At(result, "cachedLocally")) ||
                     Truth(At(At(result, "executionInfo"), "cachedRemotely"));
      test.milliseconds += Number(At(result, "testAttemptDurationMillis"));
    }
    if (const Json& summary = At(event, "testSummary"); summary.is_object()) {
      Test& test = tests_[Text(At(At(id, "testSummary"), "label"))];
      test.status = Text(At(summary, "overallStatus"));
      test.shards = Number(At(summary, "shardCount"));
    }
    if (const Json& finished = At(event, "finished"); finished.is_object()) {
      result_ = Text(At(At(finished, "exitCode"), "name"));
      finished_ = Number(At(finished, "finishTimeMillis"));
    }
    if (const Json& metrics = At(At(event, "buildMetrics"), "actionSummary"); metrics.is_object()) {
      actions_ = Number(At(metrics, "actionsExecuted"));
    }
    Logs(At(At(event, "buildToolLogs"), "log"));
  }

  BuildSummary Finish() {
    BuildSummary build = {
        .title = absl::StrCat("bazel ", command_.empty() ? "build" : command_, ": ",
                              result_.empty() ? "not finished" : result_),
        .facts = Table("build", "The build", {{"what"}, {"value"}}),
        .failed = Table("failed", "What failed", {{"what"}, {"kind"}, {"exit code"}, {"why"}}),
        .pipelines = Table("pipelines", "Pipelines", {{"target"}, {"rule"}, {"made"}}),
        .tests = Table("tests", "Tests",
                       {{"test"}, {"status"}, {"shards"}, {"runs"}, {"cached"}, {"time", "s", 2}})};

    Facts(build.facts);
    Rows failed(build.failed);
    for (std::vector<Cell>& row : failed_) failed.Add(std::move(row));
    for (const auto& [label, test] : tests_) {
      const bool bad = !test.status.empty() && test.status != "PASSED" && test.status != "FLAKY";
      if (bad) failed.Add({label, "test", Cell(), test.status});
    }
    failed.End();
    Rows pipelines(build.pipelines);
    for (const auto& [label, pipeline] : pipelines_) {
      pipelines.Add({label, pipeline.kind, pipeline.done ? Cell(pipeline.made) : Cell()});
    }
    pipelines.End();
    Rows tests(build.tests);
    for (const auto& [label, test] : tests_) {
      tests.Add({label, test.status, test.shards > 1 ? Cell(test.shards) : Cell(), test.runs,
                 test.cached, Seconds(test.milliseconds)});
    }
    tests.End();
    return build;
  }

 private:
  struct Pipeline {
    std::string kind;
    bool done = false, made = false;
  };
  struct Test {
    std::string status;
    int64_t shards = 0, runs = 0, cached = 0, milliseconds = 0;
  };

  void Begin(const Json& started) {
    if (!started.is_object()) return;
    command_ = Text(At(started, "command"));
    version_ = Text(At(started, "buildToolVersion"));
    started_ = Number(At(started, "startTimeMillis"));
  }

  void Complete(const std::string& label, bool success) {
    ++(success ? built_ : broken_);
    const auto pipeline = pipelines_.find(label);
    if (pipeline != pipelines_.end()) {
      pipeline->second.done = true;
      pipeline->second.made = success;
    }
    if (!success) failed_.push_back({label, "target", Cell(), "not built"});
  }

  // Bazel tells of actions that failed.
  void Action(const Json& id, const Json& action) {
    if (Truth(At(action, "success"))) return;
    std::string label = Text(At(At(id, "actionCompleted"), "label"));
    if (label.empty()) label = Text(At(At(id, "actionCompleted"), "primaryOutput"));
    const std::string why = Text(At(At(action, "failureDetail"), "message"));
    const int64_t code = Number(At(action, "exitCode"));
    failed_.push_back({label, absl::StrCat("action ", Text(At(action, "type"))), code,
                       code == 3 ? absl::StrCat("a goal was not met. ", why) : why});
  }

  // Texts in base64, by their names.
  void Logs(const Json& logs) {
    if (!logs.is_array()) return;
    for (const Json& log : logs) {
      const std::string name = Text(At(log, "name"));
      std::string text;
      const Json& contents = At(log, "contents");
      if (!contents.is_string()) continue;
      if (!absl::Base64Unescape(contents.get_ref<const std::string&>(), &text)) continue;
      if (name == "process stats") processes_ = Shortened(Printable(text), kMaxCellBytes);
    }
  }

  void Facts(Table& facts) const {
    const auto add = [&](const char* what, Cell value) { facts.AddRow({what, std::move(value)}); };
    add("result", result_.empty() ? "not finished" : result_);
    if (!version_.empty()) add("Bazel", version_);
    if (started_ > 0) {
      add("started", absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(started_),
                                      absl::UTCTimeZone()));
    }
    if (started_ > 0 && finished_ >= started_) add("seconds", Seconds(finished_ - started_));
    add("targets built", built_);
    add("targets not built", broken_);
    int64_t passed = 0;
    for (const auto& [label, test] : tests_) passed += test.status == "PASSED";
    add("tests", static_cast<int64_t>(tests_.size()));
    add("tests passed", passed);
    if (actions_ > 0) add("actions executed", actions_);
    if (!processes_.empty()) add("processes", std::string(absl::StripSuffix(processes_, ".")));
  }

  std::string command_, version_, result_, processes_;
  int64_t started_ = 0, finished_ = 0, built_ = 0, broken_ = 0, actions_ = 0;
  std::map<std::string, Pipeline> pipelines_;
  std::map<std::string, Test> tests_;
  std::vector<std::vector<Cell>> failed_;
};

// Null for what is no JSON, or nests too deep.
Json Parse(absl::string_view line) {
  bool too_deep = false;
  const auto depth_is_fine = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > kMaxDepth;
    return !too_deep;
  };
  Json event = Json::parse(line.begin(), line.end(), depth_is_fine, /*allow_exceptions=*/false);
  return too_deep || !event.is_object() ? Json() : event;
}

}  // namespace

std::vector<const Table*> BuildSummary::tables() const {
  std::vector<const Table*> all;
  for (const Table* table : {&facts, &failed, &pipelines, &tests}) {
    if (table->num_rows() > 0) all.push_back(table);
  }
  return all;
}

std::string BuildSummary::Text(const Table::Room& room) const {
  std::string text = absl::StrCat(title, "\n");
  for (const Table* table : tables()) absl::StrAppend(&text, "\n", table->Text(room));
  return text;
}

std::string BuildSummary::Markdown() const {
  std::string text = absl::StrCat("# ", title, "\n");
  for (const Table* table : tables()) {
    absl::StrAppend(&text, "\n## ", table->title(), "\n\n", table->Markdown());
  }
  return text;
}

absl::StatusOr<BuildSummary> SumUpBuildEvents(absl::string_view text, absl::string_view name) {
  Summing summing;
  int events = 0;

  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;
    ++events;
    if (line.size() > kMaxEventBytes || events > kMaxEvents) {
      return absl::ResourceExhaustedError(absl::StrCat(name, ":", events, ": has more than ",
                                                       kMaxEvents, " events, or one of ",
                                                       "more than ", kMaxEventBytes, " bytes"));
    }
    const Json event = Parse(line);
    if (event.is_object()) {
      summing.Take(event);
      continue;
    }
    const bool is_cut = line.end() == text.end();
    if (is_cut && events > 1) break;
    return absl::DataLossError(
        absl::StrCat(name, ":", events, ": no event of a build; want the file that Bazel's ",
                     "--build_event_json_file wrote, an object of JSON a line"));
  }
  if (events == 0) return absl::DataLossError(absl::StrCat(name, ": has no event of a build"));
  return summing.Finish();
}

absl::StatusOr<BuildSummary> ReadBuildEvents(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(std::string(path), kMaxFileBytes));
  return SumUpBuildEvents(text, path);
}

}  // namespace mase
