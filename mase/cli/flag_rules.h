// Which flags go together, and which settings go with which action: what would be taken without
// effect is refused.
#ifndef MASE_CLI_FLAG_RULES_H_
#define MASE_CLI_FLAG_RULES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message.h"
#include "mase/config/arguments.h"

namespace mase {

// A flag of an action that says something only where another is given, or only where it is not.
struct FlagRule {
  enum class Wants { kThe, kNot };

  absl::string_view action, flag;
  Wants wants;
  absl::string_view other;
};

absl::Span<const FlagRule> FlagRules();

// InvalidArgument, naming both flags, or flag and action: a rule is broken, or the command line has
// a setting that the action has no use for. `flags`, which may be null, are the action's own, as
// they are set.
absl::Status CheckFlags(absl::string_view action, const Arguments& arguments,
                        const google::protobuf::Message* flags);

// The settings of the command line, as given ("--run_dir", "goals.require") and as keys
// ("run_dir", "goals.require").
struct GivenOnCommandLine {
  std::string flag, key;
};
std::vector<GivenOnCommandLine> SettingsOnCommandLine(const Arguments& arguments);

}  // namespace mase

#endif  // MASE_CLI_FLAG_RULES_H_
