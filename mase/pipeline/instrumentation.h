// What watches the passes of a run: the seam for timing, printing, checking and keeping evidence.
//
//   class Trace final : public Instrumentation {
//    public:
//     absl::Status BeforePass(const RunningPass& pass, const Graph& graph) override { ... }
//   };
//   Trace trace;
//   RunPipeline(pipeline, graph, host, &report, {&trace});
//
// Instruments are asked in their order. All calls come from the thread that runs the pipeline; none
// may change the graph. instruments.h has those that users reach by flags.
#ifndef MASE_PIPELINE_INSTRUMENTATION_H_
#define MASE_PIPELINE_INSTRUMENTATION_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "mase/base/last_words.h"
#include "mase/graph/graph.h"
#include "proto/report.pb.h"

namespace mase {

struct PipelineStep;

// One pass of a run.
struct RunningPass {
  const PipelineStep& step;
  int number;             // From 1: the passes that were reached, needed ones included.
  const Graph& original;  // What the pass sees as PassContext::original().
  // What is left behind if the pass ends the program. Instruments add files in BeforePass.
  LastWords& last_words;
};

class Instrumentation {
 public:
  virtual ~Instrumentation();

  // Whether the pass is to run. One that any instrument refuses is passed over without a trace in
  // the report.
  virtual bool Wants(const RunningPass& pass);

  // In front of the pass. An error ends the run with it.
  virtual absl::Status BeforePass(const RunningPass& pass, const Graph& graph);

  // The pass is done and told the truth; `verify` is how long VerifyGraph took, zero where the
  // graph was not changed. An error ends the run with it.
  virtual absl::Status AfterPass(const RunningPass& pass, const Graph& graph,
                                 const PassReport& report, absl::Duration verify);

  // The pass failed, and the graph may be half done. Returns the run's error: `status`, perhaps
  // with more in it.
  virtual absl::Status PassFailed(const RunningPass& pass, const absl::Status& status);

  // All passes are done.
  virtual void AfterPipeline();
};

}  // namespace mase

#endif  // MASE_PIPELINE_INSTRUMENTATION_H_
