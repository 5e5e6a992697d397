#include "mase/run/trainer_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {

absl::StatusOr<TrainerOptions> TrainerOptionsOf(const RunConfig& config,
                                                const RunEnvironment& environment) {
  Reporter& reporter = environment.reporter;
  TrainerOptions options;
  MASE_ASSIGN_OR_RETURN(options.optimizer, ParseOptimizer(config.training_optimizer()));
  options.learning_rate = config.learning_rate();
  options.weight_decay = config.weight_decay();
  if (config.has_eta_min()) options.rate_floor = config.eta_min();
  options.rate_period = config.t_max();
  options.batch_size = config.batch_size();
  options.shuffle = config.shuffle();
  options.max_epochs = config.max_epochs();
  options.max_steps = config.max_steps();
  options.max_batches = config.to_debug() ? 1 : 0;
  options.accumulate = config.accumulate_grad_batches();
  options.log_every_n_steps = config.log_every_n_steps();
  options.checkpoint_every_n_steps = config.checkpoint_every_n_steps();
  options.seed = config.seed();
  options.print = [&reporter](absl::string_view line) { reporter.Print(absl::StrCat(line, "\n")); };
  options.warn = [&reporter](absl::string_view warning) { reporter.Warn(warning); };
  options.terminal = reporter.progress();
  if (environment.watch_interrupt) options.interrupted = &environment.watch_interrupt();

  const std::string& precision = config.trainer_precision();
  if (precision == "64") options.precision = Precision::kFloat64;
  if (precision == "bf16") options.precision = Precision::kBfloat16;
  if (precision == "16-mixed") reporter.Warn("trainer_precision 16-mixed needs a GPU; using 32");
  return options;
}

}  // namespace mase
