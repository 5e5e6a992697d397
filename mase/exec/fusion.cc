#include "mase/exec/fusion.h"

#include "mase/quantize/operands.h"

namespace mase {
namespace {

bool IsBatchNorm(const Node& node) {
  return node.op() == "batch_norm1d" || node.op() == "batch_norm2d";
}

bool IsConvolution(const Node& node) { return node.op() == "conv1d" || node.op() == "conv2d"; }

}  // namespace

Fusion FindFusion(const Node& node, ExecutionMode mode, const ExecutorOptions& options,
                  bool folds_norms) {
  Fusion fusion = {.op = node.op(), .attributes = node.attributes(), .last = &node};
  const auto is_float = [&](const Node& candidate) {
    return !options.simulate_quantization || candidate.quantization() == nullptr;
  };
  if (options.keep_values) return fusion;
  // The one node that reads the chain so far; null if there is another or none.
  const auto next = [&]() -> const Node* {
    const absl::Span<const Use> uses = fusion.last->outputs()[0]->uses();
    return uses.size() == 1 && is_float(*uses[0].node) ? uses[0].node : nullptr;
  };
  if (node.op() == "linear" && mode == ExecutionMode::kInference) {
    const Node* relu = next();
    const bool rounds_result = !is_float(node) && FindFormat(node, "data_out") != nullptr;
    if (rounds_result || relu == nullptr || relu->op() != "relu") return fusion;
    fusion.op = "linear_relu";
    fusion.last = relu;
    return fusion;
  }
  if (!is_float(node)) return fusion;
  if (IsConvolution(node) && folds_norms && mode == ExecutionMode::kInference) {
    const Node* norm = next();
    if (norm == nullptr || !IsBatchNorm(*norm) || !norm->attributes().Bool("track_running_stats")) {
      return fusion;
    }
    fusion.op = "conv_batch_norm";
    fusion.norm = fusion.last = norm;
    fusion.attributes.Set("eps", norm->attributes().Float("eps"));
    const Node* relu = next();
    const bool has_relu = relu != nullptr && relu->op() == "relu";
    fusion.attributes.Set("relu", has_relu);
    if (has_relu) fusion.last = relu;
  } else if (IsBatchNorm(node)) {
    const Node* relu = next();
    if (relu == nullptr || relu->op() != "relu") return fusion;
    fusion.op = "batch_norm_relu";
    fusion.last = relu;
  }
  return fusion;
}

}  // namespace mase
