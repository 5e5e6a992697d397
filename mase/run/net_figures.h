// What a run measures of a net besides what it predicts: bytes, time, how its weights lie.
#ifndef MASE_RUN_NET_FIGURES_H_
#define MASE_RUN_NET_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/table.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/tensor/tensor.h"
#include "proto/report.pb.h"

namespace mase {

// Bytes of all trained weights and biases, each packed in the bits of its format (32 where it stays
// float) without gaps; running statistics are not among them. Errors of TensorCostsOf.
absl::StatusOr<int64_t> WeightBytes(const Graph& graph);

// The median time of a forward pass over the first row of `features` alone, in microseconds, of at
// least 200 passes or a second. Errors of Forward.
absl::StatusOr<double> MedianLatencyUs(Executor& executor, const Tensor& features);

// What a page shows of a net: the report gets the table "nodes" and histograms of its weights in
// place of those that it has, and the picture of the graph is returned, as SVG; "" of a graph that
// has too many nodes for one. Errors of NodeTable and WeightHistograms.
absl::StatusOr<std::string> DescribeNet(const Graph& graph, RunReport& report);

// Adds to the report what its goals need of the net at this stage: "bytes" (also "packed_bytes"),
// "average_bitwidth", "macs", "bitops", "ebops" (quantize/net_costs.h) and "latency_us".
// `executor` runs it as the run does.
absl::Status ReportNeededFigures(const Graph& graph, Executor& executor, const Tensor& features,
                                 absl::string_view stage, RunReport& report);

// A row a node: what it is, its shape, parameters, arithmetic and formats. Errors of CostsOf.
absl::StatusOr<Table> NodeTable(const Graph& graph);

// The values of each weight and bias that has a format, stored and as the net computes with them,
// in 48 bins. Weights whose format gives no finite values are left out.
absl::StatusOr<std::vector<HistogramReport>> WeightHistograms(const Graph& graph);

}  // namespace mase

#endif  // MASE_RUN_NET_FIGURES_H_
