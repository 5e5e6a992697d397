#include "mase/run/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/files.h"
#include "mase/base/folder.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/recorded.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/writable.h"
#include "mase/config/paths.h"
#include "mase/config/text_proto.h"
#include "mase/model/checkpoint.h"
#include "mase/run/report_json.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// A model may be a layer list: keep what is safe in a file name, and not too much of it.
std::string FileNamePart(absl::string_view text) {
  std::string part;
  for (char c : text.substr(0, 48)) {
    const bool safe = absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
    if (safe) {
      part.push_back(c);
    } else if (!part.empty() && part.back() != '-') {
      part.push_back('-');
    }
  }
  return part.empty() || part[0] == '.' ? absl::StrCat("run-", part) : part;
}

absl::StatusOr<std::string> ProjectsFolder(const RunConfig& config) {
  return config.project_dir().empty() ? UserPath("mase_output") : config.project_dir();
}

absl::StatusOr<std::string> ProjectFolder(const RunConfig& config, absl::string_view model,
                                          absl::string_view dataset) {
  MASE_ASSIGN_OR_RETURN(const std::string root, ProjectsFolder(config));
  const std::string name =
      config.has_project()
          ? FileNamePart(config.project())
          : absl::StrCat(FileNamePart(model), "_", config.task(), "_", FileNamePart(dataset), "_",
                         absl::FormatTime("%Y-%m-%d", absl::Now(), absl::LocalTimeZone()));
  return (fs::path(root) / name).string();
}

absl::Status MakeFolders(const fs::path& folder) {
  if (folder.empty()) return absl::OkStatus();  // The working directory.
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? FileError(folder.string(), "create", error.value()) : absl::OkStatus();
}

// Ends the name of the link to the newest run of an action.
constexpr absl::string_view kLatest = "-latest";

// Points "<action>-latest" at `name`, atomically; best effort, as some file systems have no links.
// What is there and no link is the user's.
void LinkLatest(const fs::path& project, absl::string_view action, const std::string& name) {
  const std::string link = absl::StrCat(action, kLatest);
  const fs::path temporary = project / absl::StrFormat(".%s.%d", link, getpid());
  std::error_code error;
  const fs::file_status there = fs::symlink_status(project / link, error);
  if (fs::exists(there) && !fs::is_symlink(there)) return;
  if (symlink(name.c_str(), temporary.c_str()) != 0) return;
  fs::rename(temporary, project / link, error);
  if (error) fs::remove(temporary, error);
}

// ".NAME.tmp-PID-N", as WriteFileAtomically names what it is at.
bool IsTemporary(absl::string_view name) {
  const size_t ending = name.rfind(".tmp-");
  if (!absl::StartsWith(name, ".") || ending == 0 || ending == name.npos) return false;
  const std::pair<absl::string_view, absl::string_view> numbers =
      absl::StrSplit(name.substr(ending + 5), absl::MaxSplits('-', 1));
  int64_t process, count;
  return absl::SimpleAtoi(numbers.first, &process) && absl::SimpleAtoi(numbers.second, &count);
}

// Removes what a killed process left half written in the folder of a run, which is locked.
void RemoveTemporaries(const std::string& folder) {
  for (const fs::path& entry : EntriesOf(folder).value_or(std::vector<fs::path>())) {
    if (!IsTemporary(entry.filename().string())) continue;
    std::error_code error;
    if (fs::is_regular_file(fs::symlink_status(entry, error))) fs::remove(entry, error);
  }
}

// Names in a folder that end so, sorted.
std::vector<std::string> NamesEnding(const fs::path& folder, absl::string_view ending) {
  std::vector<std::string> names;
  for (const fs::path& entry : EntriesOf(folder.string()).value_or(std::vector<fs::path>())) {
    std::string name = entry.filename().string();
    if (absl::EndsWith(name, ending) && name[0] != '.') names.push_back(std::move(name));
  }
  return names;
}

// Whether the folder, and what is missing of those above it, can be made.
absl::Status CheckCanBeMade(fs::path folder) {
  std::error_code error;
  while (folder.has_relative_path() && !fs::exists(folder.parent_path(), error)) {
    folder = folder.parent_path();
  }
  return fs::is_directory(folder, error) ? absl::OkStatus() : CheckWritable(folder.string());
}

// Whether the folder is one that a build tool has made for this run: those make the folders that
// they want filled.
bool IsMadeForUs(const fs::path& folder) {
  std::error_code error;
  return IsReproducible() && fs::is_directory(folder, error) && fs::is_empty(folder, error);
}

absl::Status Exists(const fs::path& run_dir) {
  return absl::AlreadyExistsError(
      absl::StrCat("run_dir ", run_dir.string(), " exists; a run never shares its directory"));
}

absl::StatusOr<std::string> MakeNext(const fs::path& project, absl::string_view action) {
  MASE_RETURN_IF_ERROR(MakeFolders(project));
  for (int number = 1; number < 1'000'000; ++number) {
    const std::string name = absl::StrFormat("%s-%04d", action, number);
    const fs::path path = project / name;
    // mkdir either makes the folder or fails: two runs never get the same one.
    if (mkdir(path.c_str(), 0777) == 0) {
      LinkLatest(project, action, name);
      return path.string();
    }
    if (errno != EEXIST) return FileError(path.string(), "create", errno);
  }
  return absl::InternalError(absl::StrCat(project.string(), ": no free run number"));
}

}  // namespace

absl::StatusOr<RunDirectory> RunDirectory::Create(const RunConfig& config, absl::string_view action,
                                                  absl::string_view model,
                                                  absl::string_view dataset) {
  if (!config.has_run_dir()) {
    MASE_ASSIGN_OR_RETURN(const std::string project, ProjectFolder(config, model, dataset));
    MASE_ASSIGN_OR_RETURN(std::string path, MakeNext(project, action));
    RunDirectory made(std::move(path));
    MASE_RETURN_IF_ERROR(made.Lock());
    return made;
  }
  if (config.run_dir().empty()) {
    return absl::InvalidArgumentError("run_dir is empty: want the name of a new folder");
  }
  fs::path path = fs::path(config.run_dir()).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "new/" is "new".
  MASE_RETURN_IF_ERROR(MakeFolders(path.parent_path()));
  if (mkdir(path.c_str(), 0777) != 0) {
    if (errno != EEXIST) return FileError(path.string(), "create", errno);
    if (!IsMadeForUs(path)) return Exists(path);
  }
  RunDirectory made(path.string());
  MASE_RETURN_IF_ERROR(made.Lock());
  return made;
}

absl::Status RunDirectory::CheckFree(const RunConfig& config) {
  if (!config.has_run_dir()) {
    MASE_ASSIGN_OR_RETURN(const std::string projects, ProjectsFolder(config));
    return CheckCanBeMade(projects);
  }
  const fs::path path = fs::path(config.run_dir()).lexically_normal();
  std::error_code error;
  if (IsMadeForUs(path)) return CheckWritable((path / kSummary).string());
  return fs::exists(path, error) ? Exists(path) : CheckCanBeMade(path);
}

absl::Status RunDirectory::Lock() {
  const int opened = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return FileError(path_, "open", errno);
  lock_ = std::shared_ptr<const int>(new int(opened), [](const int* file) {
    ::close(*file);
    delete file;
  });
  // File systems that know no locks say something else.
  if (::flock(opened, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(path_, ": another run is at this directory; wait for it or end it"));
}

absl::StatusOr<RunDirectory> RunDirectory::Reopen(absl::string_view path) {
  RunDirectory directory{std::string(path)};
  std::error_code error;
  // Locked first: a run that has just begun has no settings yet.
  if (fs::is_directory(directory.path_, error)) MASE_RETURN_IF_ERROR(directory.Lock());
  if (!fs::exists(directory.File(kSettings), error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no run directory: it has no ", kSettings));
  }
  RemoveTemporaries(directory.path_);
  directory.artifacts_.push_back(kSettings);
  return directory;
}

std::string RunDirectory::File(absl::string_view relative) const {
  return (fs::path(path_) / std::string(relative)).string();
}

absl::StatusOr<std::string> RunDirectory::Reserve(absl::string_view relative) {
  const fs::path name = std::string(relative);
  const bool leaves = name.is_absolute() || std::find(name.begin(), name.end(), "..") != name.end();
  if (leaves || !name.has_filename()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": ", Quoted(relative), " is no name of a file in this folder"));
  }
  std::error_code error;
  for (fs::path above = name.parent_path(); !above.empty(); above = above.parent_path()) {
    const fs::path folder = fs::path(path_) / above;
    if (!fs::is_symlink(folder, error)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(Printable(folder.string()),
                     ": is a link, and a run writes into its own folder alone; remove the link"));
  }
  const std::string file = File(relative);
  MASE_RETURN_IF_ERROR(MakeFolders(fs::path(file).parent_path()));
  if (std::find(artifacts_.begin(), artifacts_.end(), relative) == artifacts_.end()) {
    artifacts_.emplace_back(relative);
  }
  return file;
}

absl::Status RunDirectory::Write(absl::string_view relative, absl::string_view contents) {
  const size_t listed = artifacts_.size();
  MASE_ASSIGN_OR_RETURN(const std::string file, Reserve(relative));
  absl::Status status = WriteFileAtomically(file, contents);
  if (!status.ok()) artifacts_.resize(listed);  // What is not there is no result.
  return status;
}

std::string RunDirectory::SettingsText(const RunConfig& config) const {
  return ConfigText(IsReproducible() ? WithPathsFrom(path_, config) : config);
}

absl::Status RunDirectory::WriteSettings(const RunConfig& config) {
  return Write(kSettings, SettingsText(config));
}

absl::Status RunDirectory::Finish(RunReport& report) {
  const auto summary = std::remove(artifacts_.begin(), artifacts_.end(), kSummary);
  artifacts_.erase(summary, artifacts_.end());  // It is written again, and last.
  report.clear_artifacts();
  for (const std::string& artifact : artifacts_) report.add_artifacts(artifact);
  report.add_artifacts(kSummary);
  return Write(kSummary, ReportJson(report));
}

absl::StatusOr<RunReport> ReadSummary(absl::string_view path) {
  const std::string file = (fs::path(std::string(path)) / RunDirectory::kSummary).string();
  MASE_ASSIGN_OR_RETURN(const std::string json, ReadFile(file, limits::kMaxConfigFileBytes));
  return ParseReportJson(json, file);
}

absl::StatusOr<std::string> CheckpointOfRun(absl::string_view path) {
  const fs::path folder{std::string(path)};
  std::error_code error;
  if (!fs::is_directory(folder, error)) return std::string(path);
  for (const char* name : {kBestCheckpoint, kTransformedCheckpoint}) {
    if (fs::exists(folder / name, error)) return (folder / name).string();
  }
  const std::string what = absl::StrCat(path, ": is a directory without ", kBestCheckpoint, " or ",
                                        kTransformedCheckpoint);
  if (fs::exists(folder / kLastCheckpoint, error)) {
    return absl::NotFoundError(absl::StrCat(what, ": no epoch of its training was validated; ",
                                            (folder / kLastCheckpoint).string(),
                                            " is its last state"));
  }
  if (fs::exists(folder / kStudyFile, error)) {
    std::vector<std::string> trials;
    for (const fs::path& entry : EntriesOf(folder.string()).value_or(std::vector<fs::path>())) {
      const std::string name = entry.filename().string();
      if (absl::StartsWith(name, kTrialFolder)) trials.push_back(entry.string());
    }
    return absl::NotFoundError(absl::StrCat(
        path, ": is a search, which has nets of the trials that are applied alone; ",
        trials.empty()
            ? absl::StrCat("its command with --run_dir=", path, " --apply_best makes one")
            : absl::StrCat("name one of them: ", absl::StrJoin(trials, ", "))));
  }
  if (const auto runs = NamesEnding(folder, kLatest); !runs.empty()) {
    return absl::NotFoundError(
        absl::StrCat(what, "; the newest runs below it: ", absl::StrJoin(runs, ", ")));
  }
  if (const auto files = NamesEnding(folder, ".safetensors"); !files.empty()) {
    return absl::NotFoundError(
        absl::StrCat(what, "; name one of its files: ", absl::StrJoin(files, ", ")));
  }
  return absl::NotFoundError(absl::StrCat(what, ", so no run that made a net"));
}

absl::Status CheckFilesOf(const RunConfig& config, NamedFiles more) {
  const auto add = [](const std::vector<NamedPath>& paths, std::vector<NamedPath>& all) {
    all.insert(all.end(), paths.begin(), paths.end());
  };
  add(PathsIn(config, PathUse::kWritten), more.written);
  add(PathsIn(config, PathUse::kRead), more.read);
  if (config.model().has_load_name()) {
    // What is no checkpoint is told when it is read.
    auto checkpoint = CheckpointOfRun(config.model().load_name());
    if (checkpoint.ok()) more.read.push_back({"load_name", *std::move(checkpoint)});
  }
  return CheckNothingReadIsWritten(more.written, more.read);
}

}  // namespace mase
