#include "mase/onnx/rows.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "mase/graph/ops.h"

namespace mase {
namespace {

absl::Status Mixes(const Node& node) {
  return absl::UnimplementedError(
      absl::StrCat(node.op(), " mixes rows: what it gives for one depends on the others"));
}

// Elements behind the axis.
int64_t Behind(const Shape& shape, int axis) {
  int64_t elements = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) elements *= shape[i];
  return elements;
}

// Ops that work on elements of one axis together, by the attribute that names it.
bool WorksAlong(const Node& node, int axis, int rank) {
  const absl::string_view op = node.op();
  if (op == ops::kPad) {
    return node.attributes().Ints("before")[axis] != 0 ||
           node.attributes().Ints("after")[axis] != 0;
  }
  if (op == ops::kSoftmax || op == ops::kLogSoftmax || op == ops::kCat || op == ops::kSlice ||
      op == ops::kIndexSelect) {
    const int64_t dim = node.attributes().Int("dim");
    return (dim < 0 ? dim + rank : dim) == axis;
  }
  const bool by_sample = node.Is(OpTrait::kConvolution) || node.Is(OpTrait::kPool) ||
                         op == ops::kConvTranspose2d ||
                         (node.Is(OpTrait::kNorm) && op != ops::kLayerNorm && op != ops::kRmsNorm);
  return by_sample && axis != 0;
}

}  // namespace

absl::StatusOr<RowAxis> FollowRows(const Node& node, absl::Span<const RowAxis> inputs,
                                   absl::Span<const RowShapes> input_shapes,
                                   const RowShapes& result, int64_t more_rows) {
  RowAxis to;
  for (int axis = 0; axis < result.few.rank(); ++axis) {
    if (result.few[axis] == result.many[axis]) continue;
    if (to.axis >= 0) return Mixes(node);  // Rows by rows.
    to.axis = axis;
  }
  if (node.Is(OpTrait::kFromShapes)) return to;
  const RowAxis* from = nullptr;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].axis < 0) continue;
    if (WorksAlong(node, inputs[i].axis, input_shapes[i].few.rank())) return Mixes(node);
    if (from != nullptr && from->inner != inputs[i].inner) return Mixes(node);
    from = &inputs[i];
  }
  if (from == nullptr) return to;  // An input, or a constant that is repeated.
  if (to.axis < 0) return Mixes(node);
  to.inner = from->inner;
  if (node.op() != ops::kView && node.op() != ops::kFlatten) return to;
  // The same elements one after another: those of a row that are together stay so.
  const int64_t together = from->inner * Behind(input_shapes[0].few, from->axis);
  const int64_t behind = Behind(result.few, to.axis);
  const int64_t per_row = (result.many[to.axis] - result.few[to.axis]) / more_rows;
  to.inner = behind == 0 ? 1 : together / behind;
  if (behind == 0 || to.inner == 0 || together % behind != 0 || per_row % to.inner != 0) {
    return Mixes(node);
  }
  return to;
}

}  // namespace mase
