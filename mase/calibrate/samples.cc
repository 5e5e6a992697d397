#include "mase/calibrate/samples.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "mase/base/status_macros.h"
#include "mase/exec/run_net.h"

namespace mase {

SampleBatches SampleBatches::Of(std::map<std::string, Tensor> inputs) {
  constexpr int64_t kRows = 256;
  SampleBatches samples{std::move(inputs)};
  samples.batches = std::max<int64_t>(1, (samples.rows() + kRows - 1) / kRows);
  return samples;
}

int64_t SampleBatches::rows() const {
  return inputs.empty() ? 0 : inputs.begin()->second.shape()[0];
}

absl::Status RunSamples(const Graph& graph, const SampleBatches& samples,
                        const ExecutorOptions& options,
                        const std::function<absl::Status(const Executor&, int64_t)>& see) {
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options));
  const RowBatches batches = RowBatches::Equal(samples.rows(), samples.batches);
  if (batches.count() == 0) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples.inputs));
  return RunNet(*executor, inputs, batches, [&](int64_t first_row, int64_t rows) -> absl::Status {
    MASE_RETURN_IF_ERROR(see(*executor, rows));
    return samples.Done(first_row + rows);
  });
}

bool HasFloatValue(const Node& node, const InferredShapes& shapes) {
  return node.kind() != NodeKind::kOutput && !node.outputs().empty() &&
         shapes.info(node.outputs()[0]).dtype == DType::kFloat32;
}

absl::StatusOr<std::vector<NodeError>> CompareWithFloat(const Graph& graph,
                                                        const SampleBatches& samples) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
  std::vector<NodeError> nodes;
  std::vector<std::string> taps;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    const bool computes =
        node->kind() != NodeKind::kPlaceholder && node->kind() != NodeKind::kGetAttr;
    if (!computes || !HasFloatValue(*node, shapes)) continue;
    nodes.push_back({node->name(), {}});
    taps.push_back(node->name());
  }
  std::vector<ErrorSum> sums(nodes.size() + 1);
  MASE_ASSIGN_OR_RETURN(const auto exact,
                        Executor::Create(graph, {.execution = Execution::kFloat, .taps = taps}));
  MASE_ASSIGN_OR_RETURN(const auto rounded, Executor::Create(graph, {.taps = taps}));
  MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples.inputs));
  const RowBatches batches = RowBatches::Equal(samples.rows(), samples.batches);
  const auto compare = [&](int64_t, int64_t) -> absl::Status {
    for (size_t i = 0; i < nodes.size(); ++i) {
      MASE_ASSIGN_OR_RETURN(const auto x, exact->NodeValue(nodes[i].node));
      MASE_ASSIGN_OR_RETURN(const auto y, rounded->NodeValue(nodes[i].node));
      sums[i].Add(x, y);
    }
    sums.back().Add(exact->output(), rounded->output());
    return absl::OkStatus();
  };
  // The same batch in one net, then in the other.
  MASE_RETURN_IF_ERROR(
      RunNet(*exact, inputs, batches, [&](int64_t first_row, int64_t rows) -> absl::Status {
        std::vector<Tensor> batch;
        for (const Tensor& input : inputs) batch.push_back(input.Rows(first_row, first_row + rows));
        MASE_RETURN_IF_ERROR(RunNet(*rounded, batch, RowBatches::Equal(rows, 1), compare));
        return samples.Done(first_row + rows);
      }));
  nodes.push_back({graph.output()->name(), {}});
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i].error = sums[i].Total();
  return nodes;
}

}  // namespace mase
