#include "mase/run/trainer_options.h"

#include "absl/strings/str_cat.h"

namespace mase {

TrainerOptions TrainerOptionsOf(const RunConfig& config, const RunEnvironment& environment) {
  Reporter& reporter = environment.reporter;
  TrainerOptions options = {.settings = config};
  options.print = [&reporter](absl::string_view line) { reporter.Print(absl::StrCat(line, "\n")); };
  options.warn = [&reporter](absl::string_view warning) { reporter.Warn(warning); };
  options.terminal = reporter.progress();
  options.interrupted = environment.interrupted();
  return options;
}

}  // namespace mase
