// What a training run writes about itself while it goes on, in its run directory:
//
//   metrics.jsonl          one line per write: {"step": 49, "epoch": 0, "time": 1.5, TAG: VALUE}
//   events.out.tfevents.*  the same, for TensorBoard
//   history.csv            one line per epoch
//   loss.svg accuracy.svg learning_rate.svg   history.csv as pictures, at the end
//
// Tags are MASE's: train_acc_step, train_loss_step, lr-Adam, val_acc_epoch, val_loss_epoch,
// epoch, hp_metric. Epochs and steps count from 0 everywhere, as Lightning's do. A value that is no
// finite number is null in metrics.jsonl, nan or inf in history.csv, and a cross in the pictures.
#ifndef MASE_TRAIN_TRAINING_LOG_H_
#define MASE_TRAIN_TRAINING_LOG_H_

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// A number as Python prints it: the shortest text that reads back to the same double, "nan", "inf".
std::string ShortestNumber(double value);

// One line of history.csv. Losses are means of the batches' mean losses, as in MASE.
struct EpochRecord {
  int64_t epoch = 0;  // From 0.
  double rate = 0;
  double train_loss = 0;  // NaN in an epoch that max_steps cut before its first batch.
  double val_loss = 0;
  double val_acc = 0;  // val_correct / val_total as a float32.
  int64_t val_correct = 0;
  int64_t val_total = 0;
  double seconds = 0;  // Wall time; of an epoch that was resumed, only since then.
};

// The epochs of a training, in its directory.
inline constexpr char kHistoryFile[] = "history.csv";

// The epochs in the history.csv of a run directory, as they were written: seconds to the digits
// that the file has. NotFound if it has none; DataLoss, naming file and line, where it is not what
// TrainingLog wrote.
absl::StatusOr<std::vector<EpochRecord>> ReadHistory(absl::string_view directory);

// Not thread-safe.
class TrainingLog {
 public:
  struct Options {
    std::string directory;
    std::string name;  // Of the run, for the titles of the pictures.
    // What an earlier part of the run wrote about steps and epochs from these on is dropped: a
    // resumed run writes it anew. 0 starts empty.
    int64_t step = 0;
    int64_t epoch = 0;
    std::function<double()> wall_time;  // Seconds since 1970; unset: the system's clock.
  };

  // DataLoss, naming file and line, where an earlier part's files are not what this class wrote
  // (a last line that a crash cut short is dropped); else as base/files.h.
  static absl::StatusOr<TrainingLog> Open(const Options& options);

  // One line and one event. Buffered: an error shows in Flush.
  void Write(int64_t step, int64_t epoch, absl::Span<const std::pair<std::string, float>> scalars);

  // Adds to history.csv, which is replaced whole.
  absl::Status WriteEpoch(const EpochRecord& record);

  // Hands everything to the operating system, which keeps it if this process is killed.
  absl::Status Flush();

  // The pictures.
  absl::Status WriteCurves();

  // What of the part before Options::step and epoch its files do not have, as somebody removed or
  // cut them: "history.csv has 1 of the 3 epochs that have ended"; "" where nothing is missing.
  const std::string& lost() const { return lost_; }

  absl::Span<const EpochRecord> history() const { return history_; }
  // Names of the files, relative to the directory. The pictures' come after WriteCurves.
  std::vector<std::string> Files() const;

 private:
  TrainingLog(Options options, std::string event_file)
      : options_(std::move(options)), event_file_(std::move(event_file)) {}

  std::string Path(absl::string_view name) const;
  absl::Status ReplayMetrics();
  absl::Status TakeOverHistory();
  absl::Status WriteHistory() const;

  Options options_;
  std::string event_file_;
  std::ofstream metrics_;
  std::ofstream events_;
  std::vector<EpochRecord> history_;
  std::string lost_;
  std::vector<std::string> curve_files_;
};

}  // namespace mase

#endif  // MASE_TRAIN_TRAINING_LOG_H_
