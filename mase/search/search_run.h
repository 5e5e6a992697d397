// A search as a value: settings in, a study and what was found out.
//
// The run directory has log.json and best.json as MASE writes them, trials.csv with a row a trial,
// front.csv and front.md with the best ones, space.csv with the choices, study.db where the storage
// is a file, and summary.json with all that other runs have there.
#ifndef MASE_SEARCH_SEARCH_RUN_H_
#define MASE_SEARCH_SEARCH_RUN_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mase/run/run.h"
#include "mase/search/trial_runner.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

struct SearchRequest {
  RunConfig settings;      // With a section `search`.
  SettingsOf settings_of;  // Of a point.
  // Where a setting was given, by its path: "my.toml:12:3"; "" where nobody knows.
  std::function<std::string(const std::string& setting)> place_of = nullptr;
  // Trials are chosen in batches of `batch`, each from what all batches before it found, so that
  // the study is the same for any number of jobs.
  bool deterministic = false;
  int batch = 8;
  bool apply_best = false;                      // Writes the winner's net and settings.
  std::optional<int64_t> apply = std::nullopt;  // Those of this trial, and no more trials.
  // Instead of a search: these samplers side by side, each with so many seeds from the settings'
  // on.
  std::vector<std::string> compare = {};
  int seeds = 5;
  bool worker = false;   // Takes part in a study of several, and draws no conclusions.
  bool dry_run = false;  // Tells the space and writes nothing.
};

// The status is OK; Aborted where no trial meets the goals: the nearest is the winner then;
// Cancelled after an interrupt, with all files written; Unknown where every trial failed. Before
// anything runs: InvalidArgument for settings that are no good, an empty space, an existing
// directory of another search; NotFound, a trial to apply where no search is; the errors of
// OpenSession.
RunResult SearchRun(const SearchRequest& request, const RunReport& begun,
                    const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_RUN_H_
