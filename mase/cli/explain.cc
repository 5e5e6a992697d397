#include "mase/cli/explain.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/struct.pb.h"
#include "mase/cli/log.h"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kColumns = 80;

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

// The name of the file with line and column; a flag without the text that it was given.
std::string ShortPlace(const std::string& place) {
  if (absl::StartsWith(place, "--")) return place.substr(0, place.find_first_of(" ="));
  return place.substr(place.rfind('/') + 1);
}

// Settings with their places: each in one line where it fits.
std::string SettingLines(const std::vector<GivenSetting>& given) {
  size_t longest = 0;
  for (const GivenSetting& each : given) {
    const size_t length = each.setting.size() + 3 + each.value.size();
    const bool fits = 4 + length + 2 + ShortPlace(each.place).size() <= kColumns;
    if (fits) longest = std::max(longest, length);
  }
  std::string text;
  for (const GivenSetting& each : given) {
    const std::string line = absl::StrCat(each.setting, " = ", each.value);
    const std::string place = ShortPlace(each.place);
    if (line.size() <= longest && 4 + longest + 2 + place.size() <= kColumns) {
      absl::StrAppendFormat(&text, "    %-*s  %s\n", static_cast<int>(longest), line, place);
    } else {
      absl::StrAppend(&text, WrapLines(absl::StrCat("    ", line), kColumns, 6), "      ", place,
                      "\n");
    }
  }
  return text;
}

}  // namespace

std::vector<GivenSetting> GivenBelow(const SettingsRecord& record, const std::string& path) {
  std::vector<GivenSetting> all;
  for (const auto& [setting, levels] : record) {
    const Given* given = LastGiven(levels);
    const bool below =
        path.empty() || setting == path || absl::StartsWith(setting, absl::StrCat(path, "."));
    if (given != nullptr && below) all.push_back({setting, given->text, given->where});
  }
  return all;
}

std::string GivenText(const std::vector<GivenSetting>& given) {
  std::string text = absl::StrCat("Settings that were given\n", SettingLines(given));
  std::set<std::string> files;
  for (const GivenSetting& each : given) {
    const std::string place = ShortPlace(each.place);
    if (place.size() == each.place.size() || absl::StartsWith(each.place, "--")) continue;
    const std::string file = place.substr(0, place.find(':'));
    files.insert(absl::StrCat("  ", file, " is ",
                              each.place.substr(0, each.place.size() - place.size()), file, "\n"));
  }
  for (const std::string& file : files) text += file;
  return text;
}

Json GivenJson(const std::vector<GivenSetting>& given) {
  Json json = Json::array();
  for (const GivenSetting& each : given) {
    json.push_back({{"setting", each.setting}, {"value", each.value}, {"from", each.place}});
  }
  return json;
}

std::string DumpJson(const Json& json) {
  return json.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::Status Explainer::AfterPass(const RunningPass& pass, const Graph&, const PassReport& report,
                                  absl::Duration) {
  const PassConfig& config = pass.step.config;
  absl::StrAppend(&text_, "\n", report.name(),
                  config.label().empty() ? "" : absl::StrCat(" (", config.label(), ")"),
                  report.changed() ? "" : ": changes nothing", "\n");
  const std::string path = absl::StrCat("passes.", config.name());
  Json nodes = Json::array();
  bool options_named = false;
  std::string lines;
  const auto found = report.result().fields().find("nodes");
  if (found != report.result().fields().end()) {
    for (const google::protobuf::Value& value : found->second.list_value().values()) {
      const google::protobuf::Struct& entry = value.struct_value();
      const std::string node = Text(entry, "node"), op = Text(entry, "op"),
                        decision = Text(entry, "decision"), reason = Text(entry, "reason"),
                        option = Text(entry, "option");
      std::vector<GivenSetting> given;
      if (!option.empty()) {
        given = GivenBelow(record_, absl::StrCat(path, ".", KeyText(option)));
        options_named = true;
      }
      absl::StrAppend(
          &lines,
          WrapLines(absl::StrCat("  ", node, " (", op, ") ", decision, ": ", reason), kColumns, 6),
          SettingLines(given));
      nodes.push_back({{"node", node},
                       {"op", op},
                       {"decision", decision},
                       {"reason", reason},
                       {"settings", GivenJson(given)}});
    }
  }
  // Where it is the pass as a whole that decides, its settings stand in front.
  const std::vector<GivenSetting> of_pass = GivenBelow(record_, path);
  absl::StrAppend(&text_, options_named ? "" : SettingLines(of_pass), lines);
  json_.push_back({{"pass", report.name()},
                   {"label", config.label()},
                   {"changed", report.changed()},
                   {"settings", GivenJson(of_pass)},
                   {"nodes", std::move(nodes)}});
  return absl::OkStatus();
}

}  // namespace mase
