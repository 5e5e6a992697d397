#include "mase/run/finished_run.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/error_list.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/run/report_json.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;  // Projects folder, project, run.

// InvalidArgument where the folder does not let itself be looked into.
absl::StatusOr<bool> IsRun(const fs::path& folder) {
  for (const char* name : {RunDirectory::kSummary, RunDirectory::kSettings}) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return true;
    if (error) return FileError(folder.string(), "look into it", error.value());
  }
  return false;
}

// The runs in and below a folder, sorted by name. Links are names for what is found without them.
// What cannot be read goes into `unreadable`.
std::vector<fs::path> RunsBelow(const fs::path& folder, std::vector<absl::Status>& unreadable) {
  std::vector<fs::path> runs, level = {folder};
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    std::vector<fs::path> below;
    for (const fs::path& parent : level) {
      std::error_code error;
      for (fs::directory_iterator it(parent, error), end; !error && it != end;
           it.increment(error)) {
        std::error_code unknown;
        if (it->is_symlink(unknown) || !it->is_directory(unknown)) continue;
        const absl::StatusOr<bool> is_run = IsRun(it->path());
        if (is_run.ok()) {
          (*is_run ? runs : below).push_back(it->path());
        } else {
          unreadable.push_back(is_run.status());
        }
      }
      if (error) unreadable.push_back(FileError(parent.string(), "read", error.value()));
    }
    level = std::move(below);
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

absl::StatusOr<FinishedRun> ReadRun(const fs::path& folder) {
  FinishedRun run;
  run.path = folder.string();
  absl::StatusOr<RunReport> report = ReadSummary(run.path);
  if (absl::IsNotFound(report.status())) {
    run.report.set_status(kUnfinished);
    run.report.set_error(absl::StrCat("no ", RunDirectory::kSummary, ": it died, or it goes on"));
  } else if (!report.ok()) {
    return report.status();
  } else {
    run.report = *std::move(report);
  }
  absl::StatusOr<std::vector<EpochRecord>> history = ReadHistory(run.path);
  if (history.ok()) {
    run.history = *std::move(history);
  } else if (!absl::IsNotFound(history.status())) {
    return history.status();
  }
  return run;
}

// The last `count` folders of a path.
std::string Ending(const std::string& path, size_t count) {
  std::vector<std::string> parts;
  for (const fs::path& part : fs::path(path).lexically_normal()) {
    if (!part.empty() && part != "/") parts.push_back(part.string());
  }
  const size_t first = parts.size() > count ? parts.size() - count : 0;
  std::string ending;
  for (size_t i = first; i < parts.size(); ++i) {
    absl::StrAppend(&ending, ending.empty() ? "" : "/", parts[i]);
  }
  return ending.empty() ? path : ending;
}

void NameRuns(std::vector<FinishedRun>& runs) {
  constexpr size_t kMostFolders = 8;
  for (size_t count = 1; count <= kMostFolders; ++count) {
    std::set<std::string> names;
    for (FinishedRun& run : runs) names.insert(run.name = Ending(run.path, count));
    if (names.size() == runs.size()) return;
  }
  for (FinishedRun& run : runs) run.name = run.path;
}

}  // namespace

FinishedRuns ReadRuns(absl::Span<const std::string> paths) {
  FinishedRuns result;
  ErrorList problems;
  std::set<fs::path> seen;
  for (const std::string& path : paths) {
    std::error_code error;
    std::vector<fs::path> folders = {path};
    const fs::file_type type = fs::status(path, error).type();
    if (type != fs::file_type::directory) {
      problems.Add(type == fs::file_type::not_found
                       ? absl::NotFoundError(absl::StrCat(path, ": there is no such directory"))
                   : error ? FileError(path, "look into it", error.value())
                           : absl::NotFoundError(
                                 absl::StrCat(path, ": is a file, want the directory of a run")));
      continue;
    }
    const absl::StatusOr<bool> is_run = IsRun(path);
    problems.Add(is_run.status());
    if (!is_run.ok()) continue;
    std::vector<absl::Status> unreadable;
    if (!*is_run) folders = RunsBelow(path, unreadable);
    for (const absl::Status& problem : unreadable) problems.Add(problem);
    if (folders.empty() && unreadable.empty()) {
      problems.Add(absl::NotFoundError(
          absl::StrCat(path, ": no run: it has neither ", RunDirectory::kSummary, " nor ",
                       RunDirectory::kSettings, ", and there is no run below it")));
    }
    for (const fs::path& folder : folders) {
      if (!seen.insert(fs::weakly_canonical(folder, error)).second) continue;
      absl::StatusOr<FinishedRun> run = ReadRun(folder);
      problems.Add(run.status());
      if (run.ok()) result.runs.push_back(*std::move(run));
    }
  }
  NameRuns(result.runs);
  result.problems = problems.Combined();
  return result;
}

}  // namespace mase
