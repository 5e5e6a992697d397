// Pipeline: the passes of a run, created together and run one after another.
//
// What a pass needs (PassTraits::needs) runs before it, what follows it (then)
// right after it, without being configured. After each pass the pipeline
//
//   checks     that the pass told the truth about having changed the graph, that a
//              transform changed something, that a changed graph passes VerifyGraph and
//              that its number formats can be made
//   records    time, counters, decisions and results in the run's report
//   tells      the instruments (instrumentation.h): timing, printing, reproducers
//
// A pass that ends the program (mase/base/last_words.h) is named, and the exit code is not 0. The
// floating-point state of the thread is after each pass what it was before.
//
// A pipeline is a value: built once, it runs on any number of graphs, also from
// several threads at a time, each with a host and a report of its own:
//
//   MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, BuildPipeline(config.passes(), loader));
//   for (...) {
//     Graph graph = original.Clone();
//     MASE_RETURN_IF_ERROR(RunPipeline(pipeline, graph, host, &report));
//   }
#ifndef MASE_PIPELINE_PIPELINE_H_
#define MASE_PIPELINE_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_field.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_host.h"
#include "mase/pass/pass_registry.h"
#include "mase/pipeline/instrumentation.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// A pass that waits to run.
struct PipelineStep {
  const PassInfo* info = nullptr;
  std::unique_ptr<const Pass> pass;
  // As given, or where the pass runs by itself: its name, a label that says why, no options.
  PassConfig config;
  std::vector<std::string> needs;  // Of the whole chain, those to run first in front.
};

// The source that it was built from must outlive it.
struct Pipeline {
  std::vector<PipelineStep> steps;
  absl::flat_hash_map<std::string, PipelineStep> needed;  // By name; run when needed.
  // Of one pass. Beyond it the program ends, or the pass's process where it has its own.
  absl::Duration pass_limit = absl::InfiniteDuration();
};

enum class RunsAlone {
  kNo,
  kYes,  // Passes run without those that they need, whose notes the graph has, and their followers.
};

// Creates all passes, also those that will only run on demand, before any runs.
// The errors are those of PassSource::LookUp, naming the pass that needs the one that is not there,
// and CreatePass.
absl::StatusOr<Pipeline> BuildPipeline(const google::protobuf::RepeatedPtrField<PassConfig>& passes,
                                       PassSource& source, RunsAlone alone = RunsAlone::kNo);

// Runs it on `graph`. Adds a PassReport for every pass that ran and the passes'
// warnings to `report`. `original` is what PassContext::original() gives the passes; without,
// it is `graph` as it comes.
//
// The first error ends the run; `graph` may be half done then. An error of a pass
// has its name in front. InvalidArgument: a transform changed nothing and is not
// allowed to. Internal: a pass left a broken graph, threw, or was wrong about
// having changed it. Else the errors of instruments.
absl::Status RunPipeline(const Pipeline& pipeline, Graph& graph, PassHost& host, RunReport* report,
                         absl::Span<Instrumentation* const> instruments = {},
                         const Graph* original = nullptr);

}  // namespace mase

#endif  // MASE_PIPELINE_PIPELINE_H_
