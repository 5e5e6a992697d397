#include "mase/search/search_directory.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/files.h"
#include "mase/base/folder.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/config/text_proto.h"
#include "mase/search/trial_runner.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// What decides the numbers of a study: the settings, but for how long and how fast is searched.
constexpr char kStudySettings[] = "study.textproto";
constexpr size_t kMostDifferences = 8;  // That are told.

// The settings that must be the same when a search goes on.
std::string StudySettings(const RunConfig& config) {
  RunConfig same = config;
  same.mutable_search()->mutable_strategy()->clear_storage();
  SearchSetup& setup = *same.mutable_search()->mutable_strategy()->mutable_setup();
  setup.clear_n_jobs();
  setup.clear_n_trials();
  setup.clear_timeout();
  setup.clear_save_every_n_trials();
  same.clear_goals();
  same.clear_html();
  same.clear_log_level();
  return ConfigText(same);
}

// In which settings two studies differ, a line each: "search.strategy.setup.sampler.name:
// "tpe" -> "grid"".
std::string DifferenceOf(const std::string& before, const std::string& now) {
  RunConfig old_settings, new_settings;
  if (!google::protobuf::TextFormat::ParseFromString(before, &old_settings) ||
      !google::protobuf::TextFormat::ParseFromString(now, &new_settings)) {
    return "";
  }
  std::string differences, told;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (differencer.Compare(old_settings, new_settings)) return "";
  const std::vector<std::string> lines = absl::StrSplit(differences, '\n', absl::SkipEmpty());
  for (size_t i = 0; i < lines.size() && i < kMostDifferences; ++i) {
    absl::StrAppend(&told, "\n  ", lines[i]);
  }
  if (lines.size() > kMostDifferences) {
    absl::StrAppend(&told, "\n  and ", lines.size() - kMostDifferences, " more");
  }
  return told;
}

}  // namespace

absl::StatusOr<RunDirectory> OpenSearchDirectory(const SearchRequest& request,
                                                 const Session& session) {
  const RunConfig& config = request.settings;
  const bool compares = !request.compare.empty();  // No study, which would go on.
  std::error_code error;
  if (!config.has_run_dir() || !fs::exists(config.run_dir(), error)) {
    MASE_ASSIGN_OR_RETURN(
        RunDirectory made,
        RunDirectory::Create(config, "search", session.graph.name(), session.dataset.name()));
    // The settings, by which a directory is told, last: a search whose directory has them goes on.
    if (!compares) MASE_RETURN_IF_ERROR(made.Write(kStudySettings, StudySettings(config)));
    MASE_RETURN_IF_ERROR(made.WriteSettings(config));
    return made;
  }
  if (compares) {
    return absl::AlreadyExistsError(
        absl::StrCat("run_dir ", config.run_dir(),
                     " exists; --compare writes a directory of its own, name another --run_dir"));
  }
  absl::StatusOr<RunDirectory> directory = RunDirectory::Reopen(config.run_dir());
  const bool is_search = directory.ok() && fs::exists(directory->File(kStudySettings), error);
  if (absl::IsNotFound(directory.status()) || (directory.ok() && !is_search)) {
    return absl::AlreadyExistsError(
        absl::StrCat("run_dir ", config.run_dir(), " exists and is no search"));
  }
  MASE_RETURN_IF_ERROR(directory.status());
  MASE_ASSIGN_OR_RETURN(const std::string before,
                        ReadFile(directory->File(kStudySettings), limits::kMaxConfigFileBytes));
  if (const std::string now = StudySettings(config); before != now) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.run_dir(), ": was searched with other settings (", kStudySettings,
        "); give the same, or name another --run_dir for another search. Then and now:",
        DifferenceOf(before, now)));
  }
  MASE_RETURN_IF_ERROR(directory->Reserve(kStudySettings).status());
  // The directory is locked: trainings that are there were killed.
  MASE_ASSIGN_OR_RETURN(const std::vector<fs::path> entries, EntriesOf(config.run_dir()));
  for (const fs::path& entry : entries) {
    if (absl::StartsWith(entry.filename().string(), kTrainingFolder)) fs::remove_all(entry, error);
  }
  return directory;
}

}  // namespace mase
