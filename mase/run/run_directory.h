// The directory of one run: made by the run, written by nobody else.
//
// Every file is written to a temporary name, synced and renamed. summary.json is
// written last, so a directory without it, or whose summary says another status
// than "ok", is not complete.
#ifndef MASE_RUN_RUN_DIRECTORY_H_
#define MASE_RUN_RUN_DIRECTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/paths.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

class RunDirectory {
 public:
  // Makes the directory that the settings name (run_dir), which must not exist
  // (AlreadyExists; of a reproducible run it may exist and be empty), or else the next free
  // "<project_dir>/<project>/<action>-NNNN", also while other runs do the same. `model` and
  // `dataset` are for the project's default name. The project's link "<action>-latest" then leads
  // to the new directory: to the newest run of that action, finished or not.
  static absl::StatusOr<RunDirectory> Create(const RunConfig& config, absl::string_view action,
                                             absl::string_view model, absl::string_view dataset);

  // What is known to be in the way of Create beforehand: AlreadyExists, or folders that cannot be
  // made.
  static absl::Status CheckFree(const RunConfig& config);

  // The directory of an earlier run, to go on in. NotFound if it has no settings of one;
  // Unavailable while another run is at it, in this process or another.
  static absl::StatusOr<RunDirectory> Reopen(absl::string_view path);

  const std::string& path() const { return path_; }
  // The absolute path of a file in it.
  std::string File(absl::string_view relative) const;

  // Writes a file of results and lists it. `relative` may have folders, which are made.
  // InvalidArgument: a name that leaves the directory, or none.
  absl::Status Write(absl::string_view relative, absl::string_view contents);
  // Makes the folders above a file that the caller writes itself, and lists it. Errors as Write.
  absl::StatusOr<std::string> Reserve(absl::string_view relative);

  // settings.textproto: given as --config it runs the same again, in a new directory. In a
  // reproducible run (base/recorded.h) the paths in it are relative to the directory, as those of
  // any settings file are.
  std::string SettingsText(const RunConfig& config) const;
  absl::Status WriteSettings(const RunConfig& config);
  static constexpr char kSettings[] = "settings.textproto";

  // Fills in the report's artifacts and writes it as summary.json.
  absl::Status Finish(RunReport& report);
  static constexpr char kSummary[] = "summary.json";

  // Relative paths, in the order written.
  const std::vector<std::string>& artifacts() const { return artifacts_; }

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}

  absl::Status Lock();

  std::string path_;
  std::vector<std::string> artifacts_;
  std::shared_ptr<const int> lock_;  // A descriptor, closed by the last copy; also by kill -9.
};

// The report that a run wrote into the directory `path`. NotFound if there is none; DataLoss if it
// is no report.
absl::StatusOr<RunReport> ReadSummary(absl::string_view path);

// The checkpoint file that `path` stands for. A run's directory stands for the best net in it:
// best.safetensors of a training, transformed.safetensors of a transform. Anything else stands for
// itself. NotFound: a directory with neither; the message says what else there is to load.
absl::StatusOr<std::string> CheckpointOfRun(absl::string_view path);

// Files that others than settings name.
struct NamedFiles {
  std::vector<NamedPath> written, read;
};

// CheckNothingReadIsWritten (mase/config/paths.h) of what a run writes and reads as far as its
// settings name it (data, plugins, files of passes, and of a run that is loaded its checkpoint),
// and of `more`.
absl::Status CheckFilesOf(const RunConfig& config, NamedFiles more = {});

// What a search has in its directory: its trials, and folders of those that were applied.
inline constexpr char kStudyFile[] = "study.db";
inline constexpr char kTrialFolder[] = "trial-";  // And its number.

}  // namespace mase

#endif  // MASE_RUN_RUN_DIRECTORY_H_
