// Pass plugin `memory`: what the net takes in memory and on disk.
//
// Weights packed by their formats, activations by the plan of the executor for one batch, and the
// tensors of a checkpoint. Table "tensors"; result has rows and total, all in bytes:
//
//   weight_bytes           trained tensors, packed without gaps, blocks' shared parts included
//   float_weight_bytes     the same in float32
//   buffer_bytes           running statistics and counters
//   peak_activation_bytes  the one block of memory that a forward pass works in
//   checkpoint_bytes       elements of all tensors as a checkpoint has them, in float32; the graph
//                          and the facts of the run come on top
//
// Cost: O(nodes + elements of quantized tensors' blocks), and compiling the net once.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/cost.h"

namespace mase::plugins::memory {
namespace {

class MemoryPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<MemoryPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const int64_t rows = BatchOf(graph);
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
    MASE_ASSIGN_OR_RETURN(const std::vector<TensorCost> tensors, TensorCostsOf(graph, shapes));
    Table table("tensors", "Tensors of the net, packed",
                {{"tensor"},
                 {"shape"},
                 {"bits per value"},
                 {"packed", "bytes"},
                 {"stored", "bytes"},
                 {"trained"}});
    int64_t weights = 0, floats = 0, buffers = 0, checkpoint = 0;
    for (const TensorCost& cost : tensors) {
      const Tensor& value = cost.tensor->value;
      const auto stored = static_cast<int64_t>(value.size_bytes());
      table.AddRow({cost.tensor->name, value.shape().ToString(), cost.bits_per_value, cost.bytes,
                    stored, !cost.tensor->buffer});
      (cost.tensor->buffer ? buffers : weights) += cost.bytes;
      if (!cost.tensor->buffer) floats += stored;
      checkpoint += stored;
    }
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, {.max_rows = rows}));
    MASE_ASSIGN_OR_RETURN(const int64_t peak, executor->PlannedBytes(rows));
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    auto& fields = *context.result().mutable_fields();
    fields["rows"].set_number_value(static_cast<double>(rows));
    auto& total = *fields["total"].mutable_struct_value()->mutable_fields();
    std::string text;
    const auto add = [&](const char* name, int64_t bytes, const char* what) {
      total[name].set_number_value(static_cast<double>(bytes));
      absl::StrAppend(&text, name, " ", bytes, ": ", what, "\n");
    };
    add("weight_bytes", weights, "trained tensors, packed");
    add("float_weight_bytes", floats, "the same in float32");
    add("buffer_bytes", buffers, "running statistics and counters");
    const std::string plan = absl::StrCat("the plan's block for a batch of ", rows);
    add("peak_activation_bytes", peak, plan.c_str());
    add("checkpoint_bytes", checkpoint, "elements of a checkpoint's tensors");
    context.Print(text);
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<MemoryPass>(
      "memory", "Counts the bytes of packed weights, of activations and of a checkpoint.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::memory

MASE_DEFINE_PLUGIN("memory", "1.0.0", mase::plugins::memory::Register)
