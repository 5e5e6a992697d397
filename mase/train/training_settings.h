// The settings of a training, as trainer, config and resumed runs know them: fields of RunConfig
// (proto/config.proto), which have MASE's names and whose annotations are the only place of their
// defaults and ranges.
//
//   RunConfig config;
//   config.set_max_epochs(3);
//   MASE_ASSIGN_OR_RETURN(const TrainingSettings settings, TrainingSettings::Create(config));
//   settings->learning_rate();     // 1e-5, the default
//   settings.schedule().Rate(2);   // What follows from several fields.
#ifndef MASE_TRAIN_TRAINING_SETTINGS_H_
#define MASE_TRAIN_TRAINING_SETTINGS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/train/learner.h"
#include "mase/train/optimizer.h"
#include "mase/train/schedule.h"
#include "proto/config.pb.h"

namespace mase {

// The settings that may be others when a training goes on; the rest decides numbers that are part
// of it already, or where it writes.
inline constexpr absl::string_view kMayChangeOnResume[] = {"max_epochs", "max_steps",
                                                           "learning_rate", "eta_min", "t_max"};

class TrainingSettings {
 public:
  // Completes what is not set. InvalidArgument: a value outside of its range.
  static absl::StatusOr<TrainingSettings> Create(const RunConfig& config);

  const RunConfig* operator->() const { return &config_; }

  OptimizerKind optimizer() const { return optimizer_; }
  Precision precision() const;      // "16-mixed" is for GPUs: float32.
  CosineSchedule schedule() const;  // With eta_min's and t_max's own defaults.
  int64_t max_batches() const;      // Of each pass over data; 0: no limit. One, to_debug.

  // All that decides numbers of a training, "name=value" a line, for its checkpoints: the fields,
  // what they default to by others, and the rows of data.
  std::string Text(int64_t train_rows, int64_t validation_rows) const;

 private:
  TrainingSettings(RunConfig config, OptimizerKind optimizer)
      : config_(std::move(config)), optimizer_(optimizer) {}

  RunConfig config_;
  OptimizerKind optimizer_;
};

// Two Texts, of a training as it was begun and as it is to go on. InvalidArgument where they differ
// in what is none of kMayChangeOnResume: "cannot go on with batch_size=32, it was made with 64". Of
// those that may, `print` gets a line for each that does: "now max_epochs=5, before 3". Settings
// that one side does not know, as of another version, are passed over.
absl::Status CompareSettings(absl::string_view before, absl::string_view now,
                             const std::function<void(absl::string_view)>& print);

}  // namespace mase

#endif  // MASE_TRAIN_TRAINING_SETTINGS_H_
