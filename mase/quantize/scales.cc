#include "mase/quantize/scales.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/format/block_layout.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

// Numbers of rows to compare: blocks of a few rows are one block of one row.
constexpr int64_t kFew = 1, kMany = 4096;

bool HasScales(const Operand& operand) {
  return operand.format != nullptr && operand.format->affine().scale_size() > 1;
}

absl::StatusOr<Shape> ShapeOf(const Graph& graph, const Node& node, const Operand& operand,
                              const InferredShapes& shapes) {
  Shape shape;
  switch (operand.source) {
    case Operand::Source::kInput:
      shape = shapes.shape(node.inputs()[operand.index]);
      break;
    case Operand::Source::kTensor: {
      const GraphTensor* tensor = graph.FindTensor(node.parameters()[operand.index].tensor);
      if (tensor == nullptr) return absl::NotFoundError("no tensor");
      shape = tensor->value.shape();
      break;
    }
    case Operand::Source::kResult:
      shape = shapes.shape(node.outputs()[operand.index]);
      break;
  }
  MASE_ASSIGN_OR_RETURN(const OperandView view,
                        ViewOperand(node, operand.role, *operand.format, shape, shapes));
  return view.shape;
}

absl::Status CheckOperand(const Graph& graph, const Node& node, const Operand& operand,
                          const InferredShapes& few, const InferredShapes& many) {
  const auto shape = ShapeOf(graph, node, operand, few);
  const auto shape_of_many = ShapeOf(graph, node, operand, many);
  if (!shape.ok() || !shape_of_many.ok()) return absl::OkStatus();
  const AffineFormat& format = operand.format->affine();
  const auto blocks = [&](const Shape& of) {
    return BlockLayout::Mase(of, format.block_size(), /*skip_first_dim=*/false,
                             /*whole_leading_axes=*/false)
        .blocks();
  };
  const std::string where = absl::StrCat(node.name(), " (", node.op(), "): ", operand.role,
                                         ": affine: ", format.scale_size(), " scales");
  const std::string extents = absl::StrCat("[", absl::StrJoin(format.block_size(), ", "), "]");
  if (blocks(*shape) != blocks(*shape_of_many)) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, " for blocks of ", extents,
        ", of which there are the more the more rows a batch has; -1 for the first of all ",
        shape->rank(), " axes gives all rows the same scales"));
  }
  if (blocks(*shape) == format.scale_size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      where, ", but its tensor, ", shape->ToString(),
      operand.source == Operand::Source::kTensor ? "" : " of one row", ", has ", blocks(*shape),
      " blocks of ", extents, "; give as many scales as there are blocks, or another block_size"));
}

}  // namespace

absl::Status CheckScales(const Graph& graph) {
  absl::StatusOr<InferredShapes> few = absl::UnknownError("not yet inferred"), many = few;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->quantization() == nullptr) continue;
    for (const Operand& operand : OperandsOf(*node)) {
      if (!HasScales(operand)) continue;
      if (absl::IsUnknown(few.status())) {
        few = InferShapesFor(graph, kFew), many = InferShapesFor(graph, kMany);
      }
      if (!few.ok() || !many.ok()) return absl::OkStatus();
      MASE_RETURN_IF_ERROR(CheckOperand(graph, *node, operand, *few, *many));
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
