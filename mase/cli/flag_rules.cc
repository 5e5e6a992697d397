#include "mase/cli/flag_rules.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;
using Wants = FlagRule::Wants;

constexpr FlagRule kRules[] = {
    {"search", "batch", Wants::kThe, "deterministic"},
    {"search", "seeds", Wants::kThe, "compare"},
    // Samplers are compared and nothing else is searched.
    {"search", "apply", Wants::kNot, "compare"},
    {"search", "apply_best", Wants::kNot, "compare"},
    {"search", "deterministic", Wants::kNot, "compare"},
    {"search", "jobs", Wants::kNot, "compare"},
    {"search", "storage", Wants::kNot, "compare"},
    {"search", "worker", Wants::kNot, "compare"},
    {"sweep", "zip", Wants::kThe, "sweep"},
};

// A setting that one action alone heeds, and what others do instead.
struct SettingRule {
  absl::string_view setting, action, instead;
};
constexpr SettingRule kSettings[] = {
    {"resume", "train", "a search or a sweep goes on by the same command with its --run_dir"},
};

// Whether a flag says something: a switch that is on, a text or list that is not empty.
bool IsSet(const google::protobuf::Message& flags, absl::string_view name) {
  const FieldDescriptor* field = flags.GetDescriptor()->FindFieldByName(std::string(name));
  const google::protobuf::Reflection& reflection = *flags.GetReflection();
  if (field == nullptr) return false;
  return field->is_repeated() ? reflection.FieldSize(flags, field) > 0
                              : reflection.HasField(flags, field);
}

}  // namespace

absl::Span<const FlagRule> FlagRules() { return kRules; }

absl::Status CheckFlags(absl::string_view action, const Arguments& arguments,
                        const google::protobuf::Message* flags) {
  for (const FlagRule& rule : kRules) {
    if (rule.action != action || flags == nullptr) continue;
    for (const auto& [name, value] : arguments.process) {
      const bool says_something = name == rule.flag && IsSet(*flags, name);
      if (!says_something || IsSet(*flags, rule.other) == (rule.wants == Wants::kThe)) continue;
      return absl::InvalidArgumentError(
          rule.wants == Wants::kThe
              ? absl::StrCat("--", rule.flag, " has no effect without --", rule.other,
                             "; add that, or leave --", rule.flag, " out")
              : absl::StrCat("--", rule.flag, " has no effect beside --", rule.other,
                             "; leave one of the two out"));
    }
  }
  for (const GivenOnCommandLine& given : SettingsOnCommandLine(arguments)) {
    for (const SettingRule& rule : kSettings) {
      if (given.key != rule.setting || action == rule.action) continue;
      return absl::InvalidArgumentError(absl::StrCat(given.flag, " has no use here: ", action,
                                                     " does not heed it, ", rule.action, " does; ",
                                                     rule.instead));
    }
  }
  return absl::OkStatus();
}

std::vector<GivenOnCommandLine> SettingsOnCommandLine(const Arguments& arguments) {
  std::vector<GivenOnCommandLine> all;
  const auto add = [&all](const std::string& flag) {
    all.push_back({flag, absl::StrReplaceAll(absl::StripPrefix(flag, "--"), {{"-", "_"}})});
  };
  for (const Arguments::Setting& setting : arguments.settings) add(setting.flag);
  for (const std::string& set : arguments.sets) {
    add(absl::StrCat("--", set.substr(0, set.find('='))));
  }
  return all;
}

}  // namespace mase
