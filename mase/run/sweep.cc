#include "mase/run/sweep.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/files.h"
#include "mase/base/folder.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/threads.h"
#include "mase/model/checkpoint.h"
#include "mase/run/dataset_cache.h"
#include "mase/run/goal_report.h"
#include "mase/run/report_json.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"
#include "mase/run/sweep_progress.h"
#include "mase/run/sweep_table.h"
#include "mase/run/test_run.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr char kTableFile[] = "sweep.json";  // Of which a folder is known as a sweep's.
constexpr char kLockFile[] = ".lock";
constexpr size_t kMostNamed = 4;      // Runs, in a message.
constexpr char kMissed[] = "missed";  // RunReport.status of a run that missed a goal.

bool IsDone(absl::string_view status) { return status == "ok" || status == kMissed; }

// Nothing is in it but the lock of a sweep that was refused.
bool IsFree(const fs::path& folder) {
  const auto entries = EntriesOf(folder.string());
  return entries.ok() && absl::c_all_of(*entries, [](const fs::path& entry) {
           return entry.filename() == kLockFile;
         });
}

// The folder of the sweep, made or found.
absl::StatusOr<std::string> OpenFolder(const RunConfig& config, absl::string_view action) {
  std::error_code error;
  if (!config.has_run_dir() || !fs::exists(config.run_dir(), error)) {
    MASE_ASSIGN_OR_RETURN(const RunDirectory made,
                          RunDirectory::Create(config, absl::StrCat("sweep-", action),
                                               config.model().name(), config.dataset().name()));
    return made.path();
  }
  const fs::path folder = config.run_dir();
  const bool usable =
      fs::is_directory(folder, error) && (fs::exists(folder / kTableFile, error) || IsFree(folder));
  if (usable) return folder.string();
  return absl::AlreadyExistsError(absl::StrCat("run_dir ", config.run_dir(),
                                               " exists and is no sweep: it has no ", kTableFile));
}

// Keeps other processes out of the folder while it lives.
class FolderLock {
 public:
  static absl::StatusOr<FolderLock> Take(const std::string& folder) {
    const std::string path = absl::StrCat(folder, "/", kLockFile);
    FolderLock lock(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (lock.file_ < 0) return FileError(path, "open", errno);
    if (::flock(lock.file_, LOCK_EX | LOCK_NB) == 0) return lock;
    return absl::UnavailableError(
        absl::StrCat(folder, ": another process runs this sweep; wait for it or end it"));
  }
  FolderLock(FolderLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ~FolderLock() {
    if (file_ >= 0) ::close(file_);
  }

 private:
  explicit FolderLock(int file) : file_(file) {}

  int file_;
};

// The run of one point: it says how far it is, and nothing else.
class PointReporter final : public Reporter {
 public:
  PointReporter(size_t point, SweepProgress& progress)
      : point_(point), progress_(progress), terminal_(progress.Begin(point)) {}
  ~PointReporter() override { progress_.End(point_); }
  Terminal progress() override { return terminal_; }

 private:
  const size_t point_;
  SweepProgress& progress_;
  const Terminal terminal_;
};

// Checks points; each net and data set once, though many points have it.
class PointCheck {
 public:
  PointCheck(const SweepRequest& request, const RunEnvironment& around, DatasetCache& data)
      : request_(request),
        environment_{.reporter = silent_, .passes = around.passes, .data = &data} {}

  absl::Status Check(size_t i) {
    const RunConfig& config = request_.settings[i].config;
    const std::string name = PointName(request_.points, i);
    MASE_RETURN_IF_ERROR(Annotate(CreatePasses(config, environment_).status(), name));
    RunConfig net;  // What CheckNet looks at.
    *net.mutable_model() = config.model();
    *net.mutable_dataset() = config.dataset();
    *net.mutable_evaluation() = config.evaluation();
    if (!seen_.insert(net.SerializeAsString()).second) return absl::OkStatus();
    return Annotate(CheckNet(config, request_.action, environment_), name);
  }

 private:
  const SweepRequest& request_;
  Reporter silent_;
  const RunEnvironment environment_;
  absl::flat_hash_set<std::string> seen_;
};

class Sweep {
 public:
  Sweep(const SweepRequest& request, const RunEnvironment& environment, std::string folder)
      : request_(request),
        environment_(environment),
        folder_(std::move(folder)),
        progress_(request.points.points.size(), environment.reporter.progress()) {
    for (size_t i = 0; i < request.points.points.size(); ++i) {
      rows_.push_back({.run = PointName(request.points, i)});
    }
    suites_.resize(rows_.size());
  }

  absl::Status Run() {
    MASE_RETURN_IF_ERROR(CheckAll());
    MASE_RETURN_IF_ERROR(Write());
    interrupted_ = environment_.interrupted();
    const int jobs = std::min<int>(request_.jobs, static_cast<int>(rows_.size()));
    if (jobs <= 1) {
      Work();
    } else {
      std::vector<std::thread> threads;
      for (int i = 0; i < jobs; ++i) {
        threads.emplace_back([this, jobs] {
          const ThreadShare share(jobs);
          Work();
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
    MASE_RETURN_IF_ERROR(Write());
    if (!request_.junit.empty()) {
      MASE_RETURN_IF_ERROR(WriteNamedFile(request_.junit, GoalsAsJunit(suites_)));
    }
    return Ending();
  }

  bool wrote() const { return wrote_; }  // Its files, before or after the runs.
  Table table() const { return SweepTable(request_.action, request_.points, rows_); }
  std::string json() const { return SweepJson(request_.action, request_.points, rows_); }

 private:
  std::string PathOf(size_t point) const { return absl::StrCat(folder_, "/", rows_[point].run); }

  // What can be known to be wrong before anything runs, and what is done already.
  absl::Status CheckAll() {
    PointCheck check(request_, environment_, data_);
    for (size_t i = 0; i < rows_.size(); ++i) {
      MASE_RETURN_IF_ERROR(TakeFinished(i));
      if (!IsDone(rows_[i].status)) MASE_RETURN_IF_ERROR(check.Check(i));
    }
    MASE_RETURN_IF_ERROR(CheckThatNoneIsLost());
    ended_ = kept_;
    if (kept_ > 0) {
      environment_.reporter.Info(
          absl::StrCat(kept_, " of ", rows_.size(), " runs are done already"));
    }
    return absl::OkStatus();
  }

  // The runs that are done in the folder are among the rows of the tables.
  absl::Status CheckThatNoneIsLost() const {
    absl::flat_hash_set<std::string> names;
    for (const SweepRow& row : rows_) names.insert(row.run);
    std::vector<std::string> lost;
    MASE_ASSIGN_OR_RETURN(const std::vector<fs::path> entries, EntriesOf(folder_));
    for (const fs::path& entry : entries) {
      const std::string name = entry.filename().string();
      std::error_code error;
      if (!fs::exists(entry / RunDirectory::kSummary, error) || names.contains(name)) continue;
      MASE_ASSIGN_OR_RETURN(const RunReport report, ReadSummary(entry.string()));
      if (IsDone(report.status())) lost.push_back(name);
    }
    if (lost.empty()) return absl::OkStatus();
    const size_t shown = std::min(lost.size(), kMostNamed);
    return absl::AlreadyExistsError(
        absl::StrCat(folder_, ": its tables would lose the runs ",
                     absl::StrJoin(lost.begin(), lost.begin() + shown, ", "),
                     shown < lost.size() ? absl::StrCat(" and ", lost.size() - shown, " more") : "",
                     "; sweep their values, too, or name another --run_dir"));
  }

  // Fills in the row of a point that is done already.
  absl::Status TakeFinished(size_t i) {
    std::error_code error;
    if (!fs::exists(PathOf(i), error)) return absl::OkStatus();
    const absl::StatusOr<RunDirectory> directory = RunDirectory::Reopen(PathOf(i));
    if (!directory.ok()) return absl::OkStatus();  // It died before it wrote its settings.
    MASE_ASSIGN_OR_RETURN(
        const std::string settings,
        ReadFile(directory->File(RunDirectory::kSettings), limits::kMaxConfigFileBytes));
    if (settings != directory->SettingsText(request_.settings[i].config)) {
      return absl::InvalidArgumentError(
          absl::StrCat(PathOf(i), ": was run with other settings (", RunDirectory::kSettings,
                       "); name another --run_dir for another sweep"));
    }
    const absl::StatusOr<RunReport> report = ReadSummary(directory->path());
    if (absl::IsNotFound(report.status())) return absl::OkStatus();
    MASE_RETURN_IF_ERROR(report.status());
    if (!IsDone(report->status())) return absl::OkStatus();
    FillSweepRow(*report, rows_[i]);
    suites_[i] = SuiteOf(rows_[i].run, *report);
    progress_.Keep();
    ++kept_;
    return absl::OkStatus();
  }

  bool Interrupted() const { return interrupted_ != nullptr && *interrupted_; }

  // Takes points until there are none, together with other threads.
  void Work() {
    for (size_t i = next_++; i < rows_.size() && !Interrupted(); i = next_++) {
      {
        const absl::MutexLock lock(&mutex_);
        if (IsDone(rows_[i].status) || !written_.ok()) continue;
        rows_[i].status = "running";
      }
      const RunResult result = RunPoint(i);
      const absl::MutexLock lock(&mutex_);
      FillSweepRow(result.report, rows_[i]);
      suites_[i] = SuiteOf(rows_[i].run, result.report);
      if (!result.status.ok()) rows_[i].error = std::string(result.status.message());
      ++ended_;
      progress_.Clear();
      environment_.reporter.Info(Line(i));
      const absl::Status written = WriteFiles();
      if (written_.ok()) written_ = written;
    }
  }

  RunResult RunPoint(size_t i) {
    PointReporter reporter(i, progress_);
    const RunEnvironment environment = {.reporter = reporter,
                                        .passes = environment_.passes,
                                        .data = &data_,
                                        .watch_interrupt = environment_.watch_interrupt};
    LoadedConfig settings = request_.settings[i];
    settings.config.set_run_dir(PathOf(i));
    RunReport begun = BeginReport(request_.action);
    for (const std::string& word : request_.command_line) begun.add_command_line(word);
    SetSettings(settings.config, begun);
    std::error_code error;
    const fs::path path = PathOf(i);
    if (request_.action == "train" && fs::exists(path / kLastCheckpoint, error)) {
      settings.config.set_resume(path.string());
      settings.record.erase("run_dir");  // It is the sweep's.
      return ResumeTraining(settings, request_.config_request, begun, environment);
    }
    fs::remove_all(path, error);  // What an unfinished run left there.
    if (request_.action == "train") return TrainRun(settings.config, begun, environment);
    if (request_.action == "test") return TestRun(settings.config, "", begun, environment);
    return TransformRun(settings.config, begun, environment);
  }

  // "[3/20] batch_size=64,learning_rate=0.001: accuracy 0.7012, loss 0.8912, 0.41 s"
  std::string Line(size_t i) const {
    const SweepRow& row = rows_[i];
    std::vector<std::string> said;
    for (const auto& [name, value] : row.figures) {
      if (said.size() < 2) said.push_back(absl::StrFormat("%s %.4f", name, value));
    }
    said.push_back(absl::StrFormat("%.2f s", row.seconds));
    if (!row.error.empty()) said = {absl::StrCat(row.status, ": ", row.error)};
    return absl::StrCat("[", ended_, "/", rows_.size(), "] ", row.run, ": ",
                        absl::StrJoin(said, ", "));
  }

  absl::Status Write() {
    const absl::MutexLock lock(&mutex_);
    MASE_RETURN_IF_ERROR(written_);
    return WriteFiles();
  }

  absl::Status WriteFiles() {
    const Table rows = table();
    const std::string plot = SweepPlot(request_.action, request_.points, rows_);
    const std::pair<const char*, std::string> files[] = {{kTableFile, json()},
                                                         {"sweep.csv", rows.Csv()},
                                                         {"sweep.md", rows.Markdown()},
                                                         {"sweep.svg", plot}};
    for (const auto& [name, contents] : files) {
      if (contents.empty()) continue;
      MASE_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(folder_, "/", name), contents));
    }
    wrote_ = true;
    return absl::OkStatus();
  }

  absl::Status Ending() const {
    int failed = 0, missed = 0, left = 0;
    for (const SweepRow& row : rows_) {
      const bool has_failed = row.status == "failed" || row.status == kCrashed;
      failed += has_failed;
      missed += row.status == kMissed;
      left += !IsDone(row.status) && !has_failed;
    }
    if (Interrupted() && left > 0) {
      return absl::CancelledError(
          absl::StrCat("interrupted with ", left, " of ", rows_.size(),
                       " runs left; the same command with --run_dir=", folder_, " goes on"));
    }
    if (failed > 0) {
      return absl::UnknownError(
          absl::StrCat(failed, " of ", rows_.size(), " runs failed; the table has their errors"));
    }
    if (missed > 0) {
      return absl::AbortedError(absl::StrCat(missed, " of ", rows_.size(), " runs missed a goal"));
    }
    return absl::OkStatus();
  }

  const SweepRequest& request_;
  const RunEnvironment& environment_;
  const std::string folder_;
  DatasetCache data_;
  const std::atomic<bool>* interrupted_ = nullptr;
  std::atomic<size_t> next_ = 0;
  absl::Mutex mutex_;  // Guards what follows while threads run, and the reporter.
  std::vector<SweepRow> rows_;
  std::vector<GoalSuite> suites_;  // Of each row; empty until its run has ended.
  size_t kept_ = 0, ended_ = 0;
  SweepProgress progress_;
  absl::Status written_;
  bool wrote_ = false;
};

}  // namespace

absl::Status CheckPoints(const SweepRequest& request, const RunEnvironment& environment) {
  DatasetCache data;
  PointCheck check(request, environment, data);
  for (size_t i = 0; i < request.settings.size(); ++i) MASE_RETURN_IF_ERROR(check.Check(i));
  return absl::OkStatus();
}

SweepResult RunSweep(const SweepRequest& request, const RunEnvironment& environment) {
  SweepResult result;
  absl::StatusOr<std::string> folder = OpenFolder(request.settings[0].config, request.action);
  if (!folder.ok()) return {folder.status()};
  const absl::StatusOr<FolderLock> lock = FolderLock::Take(*folder);
  if (!lock.ok()) return {lock.status()};
  Sweep sweep(request, environment, *folder);
  result.status = sweep.Run();
  result.directory = *folder;
  result.json = sweep.json();
  if (!sweep.wrote()) return result;
  environment.reporter.Show(sweep.table(), absl::StrCat(*folder, "/sweep.csv"));
  environment.reporter.Print(
      absl::StrCat("Files written to ", *folder,
                   ":\n  sweep.csv\n  sweep.md\n  sweep.json\n  sweep.svg\n  and a directory for "
                   "each run\n"));
  return result;
}

}  // namespace mase
