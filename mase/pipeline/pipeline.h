// Pipeline: the passes of a run, created together and run one after another.
//
// What a pass needs (PassTraits::needs) runs before it, what follows it (then)
// right after it, without being configured. After each pass the pipeline
//
//   checks     that the pass told the truth about having changed the graph, that a
//              transform changed something, that a changed graph passes VerifyGraph
//   records    time, counters, decisions and results in the run's report
//   dumps      the graph, where asked
#ifndef MASE_PIPELINE_PIPELINE_H_
#define MASE_PIPELINE_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_host.h"
#include "mase/pass/pass_registry.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

struct PipelineOptions {
  // Passes, by name or label, after which the graph is printed (mase/graph/graph_text.h).
  std::vector<std::string> print_after;
};

// A pass that waits to run. Only pipeline.cc looks inside.
struct PipelineStep {
  const PassInfo* info = nullptr;
  std::unique_ptr<Pass> pass;
  std::string label;  // The user's, or why the pass is there.
  bool allow_unchanged = false;
  bool print = false;
  std::vector<std::string> needs;  // Of the whole chain, those to run first in front.
};

// Runs once. The source that it was built from must outlive it.
struct Pipeline {
  std::vector<PipelineStep> steps;
  absl::flat_hash_map<std::string, PipelineStep> needed;  // By name; run when needed.
};

// Creates all passes, also those that will only run on demand, before any runs.
// The errors are those of PassSource::LookUp and CreatePass; NotFound for a name in
// print_after that is not in the pipeline.
absl::StatusOr<Pipeline> BuildPipeline(const google::protobuf::RepeatedPtrField<PassConfig>& passes,
                                       PassSource& source, const PipelineOptions& options = {});

// Runs it on `graph`. Adds a PassReport for every pass that ran and the passes'
// warnings to `report`.
//
// The first error ends the run; `graph` may be half done then. An error of a pass
// has its name in front. InvalidArgument: a transform changed nothing and is not
// allowed to. Internal: a pass left a broken graph, threw, or was wrong about
// having changed it.
absl::Status RunPipeline(Pipeline& pipeline, Graph& graph, PassHost& host, RunReport* report);

}  // namespace mase

#endif  // MASE_PIPELINE_PIPELINE_H_
