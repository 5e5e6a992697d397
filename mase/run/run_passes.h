// The passes of a run's settings, on its net and its data.
#ifndef MASE_RUN_RUN_PASSES_H_
#define MASE_RUN_RUN_PASSES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/exec/evaluation.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_host.h"
#include "mase/pipeline/pipeline.h"
#include "mase/run/run.h"
#include "mase/run/run_directory.h"
#include "mase/run/session.h"
#include "proto/config.pb.h"

namespace mase {

// Stages of a report's metrics: the net before and after the passes.
inline constexpr char kOriginal[] = "original";
inline constexpr char kTransformed[] = "transformed";

// A net that a pass wants kept.
struct SavedGraph {
  std::string path;  // Relative to the run directory.
  Graph graph;
  std::map<std::string, std::string> facts;  // As SaveCheckpoint's.
};

// What passes made of a session's net.
struct Transformed {
  Graph graph{};
  Evaluation before, after;  // Of no samples, if nobody asked for them.
  std::string classes;       // Lines on the difference and on how the classes fared after.
  std::vector<std::pair<std::string, std::string>> files;  // Relative path and contents.

  std::vector<SavedGraph> graphs;

  // Writes `files` and `graphs` into the run directory.
  absl::Status WriteFiles(RunDirectory& directory) const;
};

// All passes of the settings, created, and the instruments checked; the errors are BuildPipeline's.
absl::StatusOr<Pipeline> CreatePasses(const RunConfig& config, const RunEnvironment& environment);

// Runs them on a copy of the session's net, which they can measure on evaluation.split and which
// is measured so before and after if `evaluate`. The report gets the passes, their warnings, the
// plugins' versions, the figures and how the classes fared after. Writes nothing. Errors of
// RunPipeline and Evaluate; `transformed` has then what passes had wanted kept so far. A pass that
// ends the program leaves a summary in `directory`, unless that is null.
absl::Status RunPasses(const RunConfig& config, const Pipeline& pipeline, Session& session,
                       bool evaluate, Transformed& transformed, const RunDirectory* directory);

// Runs the pass of a reproducer (mase/pipeline/reproducer.h), on its data where they are here, and
// writes nothing.
absl::Status Reproduce(const std::string& path, absl::string_view action,
                       const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_RUN_PASSES_H_
