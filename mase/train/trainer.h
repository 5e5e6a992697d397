// Trainer: epochs of training and validation, their log and their checkpoints.
//
//   MASE_ASSIGN_OR_RETURN(auto trainer, Trainer::Create(graph, dataset, generator, options));
//   MASE_ASSIGN_OR_RETURN(TrainingResult result, trainer->Run(directory));   // See result.ending.
//
// The directory gets the files of training_log.h and two checkpoints (model/checkpoint.h):
//
//   best.safetensors   the net after the epoch with the lowest validation loss; where widths are
//                      learned, of the sum of that and what they cost (width_penalty.h)
//   last.safetensors   the net now and all that is needed to go on: optimizer, place in the
//                      epoch, generator, as further tensors
//
// last is written before the first step, after each epoch and every so many steps; always whole
// and atomically, after the log. So a run that dies at any moment can be resumed with the loss of
// the steps since then, and ends with the same bytes as one that never died. The same settings
// give the same bytes of both files for any number of threads.
//
// Neither ever holds a number that is not finite: a loss or a weight that becomes NaN or infinite
// ends the run, and both files stay as they were before it.
//
// Epochs are counted from 0 in all that is printed and written, as Lightning counts them; so are
// the steps of the log. "After 75 steps" is a number of steps.
//
// Random numbers are drawn as a plain PyTorch loop draws them: each epoch one loader over the
// training split and one over the validation split (data/batch_sampler.h), nothing else.
#ifndef MASE_TRAIN_TRAINER_H_
#define MASE_TRAIN_TRAINER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "mase/base/progress.h"
#include "mase/base/random.h"
#include "mase/data/batch_sampler.h"
#include "mase/data/dataset.h"
#include "mase/graph/graph.h"
#include "mase/train/learner.h"
#include "mase/train/schedule.h"
#include "mase/train/task.h"
#include "mase/train/training_log.h"
#include "mase/train/training_settings.h"
#include "mase/train/training_state.h"
#include "proto/config.pb.h"

namespace mase {

struct TrainerOptions {
  // What users set (training_settings.h). Fields that are not set have their defaults.
  RunConfig settings;
  Task task = kClassification;

  // Further facts for the metadata of both checkpoints.
  std::map<std::string, std::string> facts;

  // Lines for people: what is about to happen, warnings, one line per epoch.
  std::function<void(absl::string_view)> print = [](absl::string_view) {};
  std::function<void(absl::string_view)> warn = [](absl::string_view) {};
  Terminal terminal;  // For the progress line; by default there is none.
  // Once true, training stops after the batch at hand with a checkpoint. May be null.
  const std::atomic<bool>* interrupted = nullptr;
  // Asked after each epoch that was validated and stored: false ends the run there, as an interrupt
  // would. May be null.
  std::function<bool(const EpochRecord&)> goes_on;
};

struct TrainingResult {
  // OK: trained to the end. Cancelled: interrupted, or ended by `goes_on`, after a checkpoint.
  // OutOfRange: a loss or a weight was no finite number; says where, at which rate, what is kept
  // and what to try.
  absl::Status ending;
  int64_t steps = 0;  // Of the optimizer, in the whole run.
  std::vector<EpochRecord> history;
  int64_t best_epoch = -1;         // From 0; -1: none was validated.
  std::vector<std::string> files;  // Written, relative to the directory.
};

class Trainer {
 public:
  // Checks all that can be checked before the first step. `generator` is as the construction of
  // the model left it; what an order is drawn from.
  //
  // InvalidArgument: a setting out of its range; the net does not fit the data, or holds numbers
  // that are not finite; a last batch of one row where a batch norm would be left with one value
  // per channel. NotFound: no training or validation split.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(Graph graph, const Dataset& dataset,
                                                         const TorchGenerator& generator,
                                                         const TrainerOptions& options);

  // Makes Run go on where the directory's last checkpoint was written, bit for bit if graph, data
  // and options are those that the run was begun with. Of the options those of
  // kMayChangeOnResume may be others, and how often is logged and written; the schedule of the new
  // ones holds from the present epoch on. A run that is finished says so, and how to train on.
  // Writes nothing. NotFound: there is no checkpoint, or none of the best epoch so far.
  // InvalidArgument: another setting that differs, by its name; fewer epochs or steps than are
  // done; a net in the file that Create would not have taken. DataLoss: a damaged file.
  absl::Status Restore(const std::string& directory);

  // Trains to one of the endings that TrainingResult knows; only what cannot go on at all (a full
  // disk) is an error. Everything is written to the existing folder `directory`, that of Restore if
  // it was called. At most once.
  absl::StatusOr<TrainingResult> Run(const std::string& directory);

 private:
  Trainer(Graph graph, const Dataset& dataset, SplitData train, SplitData validation,
          TrainingSettings settings, const TrainerOptions& options);

  bool Done() const;
  bool Interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  absl::Status CheckGraph() const;                   // That the net can be trained on the data.
  absl::Status CheckLimits() const;                  // Of epochs and steps, against what is done.
  std::map<std::string, std::string> Facts() const;  // Of a checkpoint.
  void Announce() const;

  absl::Status MakeLearner();
  absl::Status RestoreFrom(const std::string& path);
  absl::Status CheckBest(const std::string& directory) const;  // That it is there, and whole.
  void AnnounceRestored(const std::string& directory) const;
  absl::Status TrainEpoch();
  void LogStep(double rate, const LossFigures& loss, int64_t rows);
  absl::Status Diverged(absl::string_view what) const;
  // Brings graph_ up to date; Diverged if it holds a number that is not finite.
  absl::Status Store();
  // Validates and ends the epoch; Cancelled, with the state as before, if interrupted.
  absl::Status EndEpoch();
  absl::Status SaveBest(double loss);
  absl::Status SaveLast();

  Graph graph_;
  const Dataset dataset_;
  const SplitData train_;
  const SplitData validation_;
  const TrainingSettings settings_;
  const TrainerOptions options_;
  const CosineSchedule schedule_;
  BatchSampler sampler_;
  const int64_t batches_;  // Of an epoch.
  std::unique_ptr<Learner> learner_;
  TrainingState state_;
  bool restored_ = false;
  std::string directory_;
  std::optional<TrainingLog> log_;
  absl::Time epoch_began_;
};

}  // namespace mase

#endif  // MASE_TRAIN_TRAINER_H_
