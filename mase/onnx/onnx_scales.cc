#include "mase/onnx/onnx_scales.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

absl::StatusOr<CodeType> FindCodes(int type) {
  for (const CodeType& codes : kCodeTypes) {
    if (codes.type == type) return codes;
  }
  return CannotRead("has codes of ", OnnxTypeName(type), "; those of 4, 8 and 16 bits can be read");
}

}  // namespace

absl::StatusOr<OnnxScales> ReadOnnxSteps(OnnxNode& node, int scale) {
  OnnxScales scales;
  MASE_ASSIGN_OR_RETURN(const Tensor tensor, node.Floats(scale));
  const auto numbers = tensor.data<float>();
  scales.scale.assign(numbers.begin(), numbers.end());
  scales.shape = tensor.shape();
  for (const float number : scales.scale) {
    if (!(number >= std::numeric_limits<float>::min() && std::isfinite(number))) {
      return BadNode("has a scale of ", number);
    }
  }
  if (scales.scale.empty()) return BadNode("has no scale");
  return scales;
}

absl::StatusOr<OnnxScales> ReadOnnxScales(OnnxNode& node, int scale, int type) {
  MASE_ASSIGN_OR_RETURN(OnnxScales scales, ReadOnnxSteps(node, scale));
  if (node.HasInput(scale + 1)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts zero, node.WholeNumbers(scale + 1));
    MASE_ASSIGN_OR_RETURN(scales.zero, zero.Numbers());
    if (scales.zero.size() != scales.scale.size()) {
      return BadNode("has ", scales.scale.size(), " scales and ", scales.zero.size(),
                     " zero points");
    }
    type = zero.type;
  }
  MASE_ASSIGN_OR_RETURN(scales.codes, FindCodes(type));
  return scales;
}

absl::StatusOr<FormatProto> FormatOfScales(const OnnxScales& scales, const Shape& shape,
                                           int64_t given_axis, int64_t block) {
  FormatProto format;
  AffineFormat& affine = *format.mutable_affine();
  affine.set_width(scales.codes.width);
  if (!scales.codes.is_signed) affine.set_is_signed(false);
  for (const float scale : scales.scale) affine.add_scale(scale);
  if (std::any_of(scales.zero.begin(), scales.zero.end(), [](int64_t z) { return z != 0; })) {
    for (const int64_t zero : scales.zero) affine.add_zero_point(static_cast<int32_t>(zero));
  }
  if (scales.scale.size() == 1) return format;
  MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(given_axis, shape.rank()));
  const int64_t want = block == 0 ? shape[axis] : 0;
  if (block == 0 && static_cast<int64_t>(scales.scale.size()) != want) {
    return BadNode("has ", scales.scale.size(), " scales for ", want, " elements of axis ", axis);
  }
  for (int i = 0; i < shape.rank(); ++i) {
    const bool along = i == axis;
    affine.add_block_size(block == 0 ? (along ? 1 : -1) : static_cast<int32_t>(along ? block : 1));
  }
  return format;
}

absl::StatusOr<OnnxScaleIndex> OnnxScaleIndex::Create(const OnnxScales& scales, const Shape& shape,
                                                      int64_t axis, int64_t block) {
  OnnxScaleIndex index;
  if (scales.scale.size() == 1) return index;
  MASE_ASSIGN_OR_RETURN(const int at, AxisOf(axis, shape.rank()));
  index.block_ = block;
  index.extent_ = shape[at];
  for (int i = at + 1; i < shape.rank(); ++i) index.inner_ *= shape[i];
  const int64_t count = static_cast<int64_t>(scales.scale.size());
  const int64_t outer = shape.elements() / std::max<int64_t>(index.extent_ * index.inner_, 1);
  const int64_t want =
      block == 0 ? index.extent_ : outer * ((index.extent_ + block - 1) / block) * index.inner_;
  if (count != want) return BadNode("has ", count, " scales, want ", want);
  index.one_ = false;
  return index;
}

absl::StatusOr<Tensor> Dequantized(const KnownInts& codes, const OnnxScales& scales, int64_t axis,
                                   int64_t block) {
  MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, codes.Numbers());
  MASE_ASSIGN_OR_RETURN(const OnnxScaleIndex index,
                        OnnxScaleIndex::Create(scales, codes.shape, axis, block));
  MASE_ASSIGN_OR_RETURN(Tensor floats, Tensor::Create(DType::kFloat32, codes.shape));
  const absl::Span<float> data = floats.mutable_data<float>();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const size_t at = index(static_cast<int64_t>(i));
    data[i] = static_cast<float>(numbers[i] - scales.zero_of(at)) * scales.scale[at];
  }
  return floats;
}

}  // namespace mase
