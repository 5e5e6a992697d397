// The command line, taken apart. MASE's form: MODEL and DATASET where one likes,
// flags anywhere, --batch-size and --batch_size alike, --flag=value or --flag
// value, switches without a value (or --debug=false).
//
// Every field of RunConfig is a flag: top-level ones by name, deeper ones by their
// aliases (proto/options.proto), so that a new setting needs nothing here. A few options of passes
// have flags of their own: --calibrate=mse is --set passes.calibrate.method=mse.
#ifndef MASE_CONFIG_ARGUMENTS_H_
#define MASE_CONFIG_ARGUMENTS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// A flag of the process instead of the run, such as --plugins: kept in gflags by
// the command line, which lists it here and gets its value back.
struct ProcessFlag {
  std::string name;        // With '_'.
  bool is_switch = false;  // Takes no value.
  std::string help;
};

// Whose flags a command line may have.
enum class FlagScope {
  kRun,  // Those of settings, of MASE, and the process's own.
  kOwn,  // The process's own alone.
};

struct Arguments {
  struct Setting {
    std::string flag;  // As given, for messages: "--batch-size".
    std::string key;  // Top-level key or alias, or a path: "batch_size", "passes.calibrate.method".
    std::string text;
  };

  // Settings as a JSON object, over those of the file and below --set: from programs, no command
  // line has them.
  struct Text {
    std::string name;  // For messages: "config", "arguments".
    std::string json;
  };

  std::vector<std::string> positionals;
  std::string config;                                        // --config, as given; "" if not.
  std::vector<Text> texts;                                   // In order.
  std::vector<std::string> sets;                             // --set, in order: "a.b.c=value".
  std::vector<Setting> settings;                             // In order.
  std::vector<std::pair<std::string, std::string>> process;  // Name, value ("true" for a switch).
  std::vector<std::string> notes;  // Flags of MASE's that have no meaning here.
};

// `args` without the program's name. -h is the process flag "help", -V is
// "version"; "--" ends the flags. InvalidArgument for an unknown flag (with the
// nearest known one), one without its value, or a switch whose value is the next word.
absl::StatusOr<Arguments> ParseArguments(absl::Span<const std::string> args,
                                         absl::Span<const ProcessFlag> process_flags,
                                         FlagScope scope = FlagScope::kRun);

// The names of all flags that are settings, sorted, with '_': "batch_size".
std::vector<std::string> SettingFlagNames();

// The flags by section, each with its help, values and default.
std::string FlagHelp(absl::Span<const ProcessFlag> process_flags,
                     FlagScope scope = FlagScope::kRun);

}  // namespace mase

#endif  // MASE_CONFIG_ARGUMENTS_H_
