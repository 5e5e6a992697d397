#include "mase/config/arguments.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/config/schema.h"
#include "proto/config.pb.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;

enum class Kind { kSetting, kProcess, kIgnored };

struct KnownFlag {
  Kind kind;
  bool is_switch;
  std::vector<std::string> words = {"true", "false"};  // Values of a switch.
};
using KnownFlags = absl::btree_map<std::string, KnownFlag>;

// Flags for what lies in a pass's options, where no field of RunConfig is.
struct PathFlag {
  const char* name;
  const char* path;  // As --set takes it. The pass is added at the end where it is not configured.
  const char* help;
};
constexpr PathFlag kPathFlags[] = {
    {"calibrate", "passes.calibrate.method",
     "Calibrate the formats by data: minmax|moving_average|percentile|mse|entropy|compare."},
};

// The path that a flag's name stands for; most are paths of one key.
std::string PathOf(const std::string& name) {
  for (const PathFlag& flag : kPathFlags) {
    if (flag.name == name) return flag.path;
  }
  return name;
}

bool IsSwitch(const FieldDescriptor& field) {
  // A choice may be one for a switch, too: --require_int8, --require_int8=all.
  const auto& allowed = field.options().GetExtension(setting).allowed();
  return field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL ||
         absl::c_linear_search(allowed, "true");
}

KnownFlag SettingFlag(const FieldDescriptor& field) {
  KnownFlag flag = {Kind::kSetting, IsSwitch(field)};
  const auto& allowed = field.options().GetExtension(setting).allowed();
  if (!allowed.empty()) flag.words = {allowed.begin(), allowed.end()};
  return flag;
}

// The names that a leaf of RunConfig has on the command line; often none.
std::vector<std::string> FlagNames(const std::vector<const FieldDescriptor*>& path) {
  const FieldDescriptor& leaf = *path.back();
  std::vector<std::string> names;
  const bool scalar = !leaf.is_repeated() && leaf.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE;
  if (path.size() == 1 && scalar) names.push_back(leaf.name());
  if (path.size() == 2 && leaf.options().GetExtension(scalar_key)) {
    names.push_back(path[0]->name());
  }
  const auto& aliases = leaf.options().GetExtension(setting).alias();
  names.insert(names.end(), aliases.begin(), aliases.end());
  return names;
}

KnownFlags AllFlags(absl::Span<const ProcessFlag> process_flags, FlagScope scope) {
  KnownFlags flags;
  if (scope == FlagScope::kOwn) {
    for (const ProcessFlag& flag : process_flags) {
      flags[flag.name] = {Kind::kProcess, flag.is_switch};
    }
    return flags;
  }
  for (const auto& path : LeafPaths(*RunConfig::descriptor())) {
    for (const std::string& name : FlagNames(path)) {
      flags[name] = SettingFlag(*path.back());
    }
  }
  for (const ProcessFlag& flag : process_flags) {
    flags[flag.name] = {Kind::kProcess, flag.is_switch};
  }
  for (const PathFlag& flag : kPathFlags) flags[flag.name] = {Kind::kSetting, false};
  for (const char* name : {"config", "set"}) flags[name] = {Kind::kProcess, false};
  return flags;
}

KnownFlag LookUp(const KnownFlags& flags, const std::string& name, const IgnoredKey* ignored,
                 bool& known) {
  const auto found = flags.find(name);
  known = found != flags.end() || ignored != nullptr;
  if (found != flags.end()) return found->second;
  return {Kind::kIgnored, ignored != nullptr && ignored->is_switch};
}

absl::Status UnknownFlag(const std::string& given, const std::string& name, const KnownFlags& flags,
                         FlagScope scope) {
  const std::string here =
      scope == FlagScope::kOwn ? "" : NameFromElsewhere(name, *RunConfig::descriptor());
  if (!here.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown flag ", given, "; did you mean '--",
                                                   absl::StrReplaceAll(here, {{"_", "-"}}), "'?"));
  }
  std::vector<std::string> names;
  const char dash = absl::StrContains(given, '_') ? '_' : '-';  // In the user's own spelling.
  for (const auto& [known, unused] : flags) {
    names.push_back("--" + absl::StrReplaceAll(known, {{"_", std::string(1, dash)}}));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag ", given, Suggest("--" + name, names)));
}

// A word behind a switch is none of the switch's, but looks like it.
absl::Status MeantAsValue(const std::string& flag, const std::string& word) {
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " ", word, ": a value stands behind '=' here, as in ", flag, "=", word,
                   "; a word of its own goes before the flag"));
}

std::string Description(const FieldDescriptor& leaf) {
  const Setting& about = leaf.options().GetExtension(setting);
  std::string text = about.help();
  std::vector<std::string> facts;
  if (about.allowed_size() > 0) facts.push_back(absl::StrJoin(about.allowed(), "|"));
  if (!about.default_value().empty()) {
    facts.push_back(absl::StrCat("default ", about.default_value()));
  }
  if (!facts.empty()) absl::StrAppend(&text, " [", absl::StrJoin(facts, "; "), "]");
  return text;
}

// "--load-name, --load VALUE"
std::string Synopsis(const std::vector<std::string>& names, bool is_switch) {
  std::vector<std::string> spelled;
  for (const std::string& name : names) {
    spelled.push_back("--" + absl::StrReplaceAll(name, {{"_", "-"}}));
  }
  return absl::StrCat("  ", absl::StrJoin(spelled, ", "), is_switch ? "" : " VALUE");
}

Table HelpTable() { return Table({{""}, {""}}); }

std::string HelpSection(absl::string_view name, const Table& table) {
  return absl::StrCat("\n", name, ":\n", table.Text());
}

}  // namespace

absl::StatusOr<Arguments> ParseArguments(absl::Span<const std::string> args,
                                         absl::Span<const ProcessFlag> process_flags,
                                         FlagScope scope) {
  const KnownFlags flags = AllFlags(process_flags, scope);
  Arguments result;
  bool flags_ended = false;
  std::vector<std::string> words_of_last;  // Values of the switch just before, given none.
  for (size_t i = 0; i < args.size(); ++i) {
    std::string arg = args[i];
    if (arg == "-h") arg = "--help";
    if (arg == "-V") arg = "--version";
    if (flags_ended || !absl::StartsWith(arg, "-") || arg == "-") {
      if (absl::c_linear_search(words_of_last, arg)) return MeantAsValue(args[i - 1], arg);
      words_of_last.clear();
      result.positionals.push_back(arg);
      continue;
    }
    words_of_last.clear();
    if (arg == "--") {
      flags_ended = true;
      continue;
    }
    const size_t equals = arg.find('=');
    const std::string given = arg.substr(0, equals);
    const bool long_flag = absl::StartsWith(given, "--");
    const std::string name = absl::StrReplaceAll(given.substr(long_flag ? 2 : 1), {{"-", "_"}});
    const IgnoredKey* ignored = scope == FlagScope::kOwn ? nullptr : FindIgnoredSetting(name);
    bool known;
    const KnownFlag flag = LookUp(flags, name, ignored, known);
    if (!known || !long_flag) return UnknownFlag(given, name, flags, scope);

    std::string text = "true";
    if (equals != std::string::npos) {
      text = arg.substr(equals + 1);
    } else if (!flag.is_switch) {
      if (i + 1 == args.size()) {
        return absl::InvalidArgumentError(absl::StrCat(given, ": needs a value"));
      }
      text = args[++i];
    } else {
      words_of_last = flag.words;
    }
    if (text.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(given, ": no value; give some, or leave it out"));
    }
    if (flag.kind == Kind::kIgnored) {
      result.notes.push_back(absl::StrCat(given, " has no effect: ", ignored->reason));
    } else if (name == "config") {
      result.config = text;
    } else if (name == "set") {
      result.sets.push_back(text);
    } else if (flag.kind == Kind::kProcess) {
      result.process.emplace_back(name, text);
    } else {
      result.settings.push_back({given, PathOf(name), text});
    }
  }
  return result;
}

std::vector<std::string> SettingFlagNames() {
  std::vector<std::string> names;
  for (const auto& [name, flag] : AllFlags({}, FlagScope::kRun)) names.push_back(name);
  return names;
}

std::string FlagHelp(absl::Span<const ProcessFlag> process_flags, FlagScope scope) {
  Table process = HelpTable();
  const auto add_own = [&] {
    for (const ProcessFlag& flag : process_flags) {
      process.AddRow({Synopsis({flag.name}, flag.is_switch), flag.help});
    }
  };
  if (scope == FlagScope::kOwn) return add_own(), process.Text();
  std::string help;
  Table table = HelpTable();
  std::string section;
  for (const auto& path : LeafPaths(*RunConfig::descriptor())) {
    // A section may be declared on the way to the leaf, where the way begins.
    for (const FieldDescriptor* field : path) {
      const std::string& begun = field->options().GetExtension(setting).section();
      if (begun.empty() || begun == section) continue;
      if (table.num_rows() > 0) help += HelpSection(section, table);
      section = begun;
      table = HelpTable();
    }
    const std::vector<std::string> names = FlagNames(path);
    if (names.empty()) continue;
    table.AddRow({Synopsis(names, IsSwitch(*path.back())), Description(*path.back())});
  }
  if (table.num_rows() > 0) help += HelpSection(section, table);
  process.AddRow({"  --config FILE", "Settings file: .toml, .json or .textproto."});
  process.AddRow({"  --set KEY=VALUE",
                  "Set anything by its path: --set passes.quantize.linear.config.weight_width=4"});
  for (const PathFlag& flag : kPathFlags) {
    process.AddRow({Synopsis({flag.name}, /*is_switch=*/false), flag.help});
  }
  add_own();
  return absl::StrCat(help, HelpSection("this command", process));
}

}  // namespace mase
