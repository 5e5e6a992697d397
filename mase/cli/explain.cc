#include "mase/cli/explain.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/struct.pb.h"
#include "mase/base/table.h"

namespace mase {
namespace {

// What the highest level that says anything says; null where it is the default or nothing.
const Given* LastGiven(const GivenByLevel& levels) {
  for (const Level level : {Level::kFlag, Level::kSet, Level::kFile}) {
    const auto& given = levels[static_cast<int>(level)];
    if (given.has_value()) return &*given;
  }
  return nullptr;
}

// A key as paths of settings have it: in quotes where it is no plain word.
std::string KeyText(const std::string& key) {
  for (const char c : key) {
    const bool plain = absl::ascii_isalnum(c) || c == '_' || c == '-';
    if (!plain) return absl::StrCat("\"", key, "\"");
  }
  return key;
}

std::string Text(const google::protobuf::Struct& entry, const std::string& key) {
  const auto it = entry.fields().find(key);
  return it == entry.fields().end() ? "" : it->second.string_value();
}

}  // namespace

Table GivenTable(const SettingsRecord& record) {
  Table table("settings", "Settings that were given",
              {{"Setting"}, {.name = "Value", .align = Align::kLeft}, {"From"}});
  for (const auto& [path, levels] : record) {
    const Given* given = LastGiven(levels);
    if (given != nullptr) table.AddRow({path, given->text, given->where});
  }
  return table;
}

std::string Explainer::Below(const std::string& path) const {
  std::string text;
  for (const auto& [setting, levels] : record_) {
    const Given* given = LastGiven(levels);
    const bool below = setting == path || absl::StartsWith(setting, absl::StrCat(path, "."));
    if (given == nullptr || !below) continue;
    absl::StrAppendFormat(&text, "    %-50s  %s\n", absl::StrCat(setting, " = ", given->text),
                          given->where);
  }
  return text;
}

absl::Status Explainer::AfterPass(const RunningPass& pass, const Graph&, const PassReport& report,
                                  absl::Duration) {
  const PassConfig& config = pass.step.config;
  absl::StrAppend(&text_, "\n", report.name(),
                  config.label().empty() ? "" : absl::StrCat(" (", config.label(), ")"),
                  report.changed() ? "" : ": changes nothing", "\n");
  const auto nodes = report.result().fields().find("nodes");
  if (nodes == report.result().fields().end()) return absl::OkStatus();
  for (const google::protobuf::Value& value : nodes->second.list_value().values()) {
    const google::protobuf::Struct& entry = value.struct_value();
    absl::StrAppend(&text_, "  ", Text(entry, "node"), " (", Text(entry, "op"), ") ",
                    Text(entry, "decision"), ": ", Text(entry, "reason"), "\n");
    const std::string option = Text(entry, "option");
    if (option.empty()) continue;
    absl::StrAppend(&text_, Below(absl::StrCat("passes.", config.name(), ".", KeyText(option))));
  }
  return absl::OkStatus();
}

}  // namespace mase
