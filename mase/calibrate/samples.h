// A net run on samples, for all who look at what it computes on the way: calibration, statistics,
// comparisons.
//
//   MASE_RETURN_IF_ERROR(RunSamples(graph, samples, {.taps = {"fc1"}},
//                                   [&](const Executor& executor, int64_t rows) -> absl::Status {
//                                     ... executor.NodeValue("fc1") ...
//                                   }));
#ifndef MASE_CALIBRATE_SAMPLES_H_
#define MASE_CALIBRATE_SAMPLES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/exec/executor.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Samples cut into batches of nearly equal size, none empty.
struct SampleBatches {
  std::map<std::string, Tensor> inputs;  // By placeholder; all with as many rows. May be empty.
  int64_t batches = 1;
  // Asked after each batch, with the rows that are done and all; an error ends the run with it.
  // That is how a pass shows its progress, and how Ctrl-C ends it. May be null.
  std::function<absl::Status(int64_t done, int64_t rows)> watch;

  // Batches of about 256 rows: small enough for the caches, too large to matter by themselves.
  static SampleBatches Of(std::map<std::string, Tensor> inputs);

  int64_t rows() const;
  absl::Status Done(int64_t done) const { return watch ? watch(done, rows()) : absl::OkStatus(); }
};

// Runs the graph in inference. Calls see(executor, rows of the batch) after each batch; without
// samples never. Errors are those of the executor, or what `see` or the watch returns, which ends
// the run.
absl::Status RunSamples(const Graph& graph, const SampleBatches& samples,
                        const ExecutorOptions& options,
                        const std::function<absl::Status(const Executor&, int64_t)>& see);

// Whether an executor's NodeValue can be asked for the node: its first result is float32.
bool HasFloatValue(const Node& node, const InferredShapes& shapes);

// How far a node's values are from what they should be.
struct NodeError {
  std::string node;
  QuantizationError error;
};

// Runs the graph without and with its number formats, and compares the values of all nodes that
// compute and have float32 results, in graph order, and last those of the net's first result, under
// the name of the output node. Needs a sample. Memory is that of a batch. Errors as RunSamples.
absl::StatusOr<std::vector<NodeError>> CompareWithFloat(const Graph& graph,
                                                        const SampleBatches& samples);

}  // namespace mase

#endif  // MASE_CALIBRATE_SAMPLES_H_
