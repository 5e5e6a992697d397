// Scales and zero points, as QuantizeLinear and its kin have them among their inputs.
#ifndef MASE_ONNX_ONNX_SCALES_H_
#define MASE_ONNX_ONNX_SCALES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/onnx/code_types.h"
#include "mase/onnx/importer.h"
#include "mase/tensor/shape.h"
#include "mase/tensor/tensor.h"
#include "proto/format.pb.h"

namespace mase {

struct OnnxScales {
  CodeType codes = {};
  std::vector<float> scale;   // Normal numbers above 0, at least one.
  std::vector<int64_t> zero;  // As many, or none.
  Shape shape;                // Of the scales.

  int64_t zero_of(size_t i) const { return zero.empty() ? 0 : zero[zero.size() == 1 ? 0 : i]; }
  bool are_one() const { return scale.size() == 1 && scale[0] == 1; }
};

// The numbers of input `scale` alone. InvalidArgument: none, or one that is no scale.
absl::StatusOr<OnnxScales> ReadOnnxSteps(OnnxNode& node, int scale);

// From inputs `scale` and `scale` + 1. `type` is that of the codes where no zero point says it.
// Errors: those of ReadOnnxSteps; InvalidArgument: another number of zero points; Unimplemented:
// codes of another type than kCodeTypes.
absl::StatusOr<OnnxScales> ReadOnnxScales(OnnxNode& node, int scale, int type);

// What the codes are as a number format, for a tensor of that shape with scales along `axis` (from
// the end where it is negative): one for each of its elements, or for each `block` of them where
// that is not 0. InvalidArgument: no such axis; another number of scales than elements. (Whether
// blocks have as many is OnnxScaleIndex's to say.)
absl::StatusOr<FormatProto> FormatOfScales(const OnnxScales& scales, const Shape& shape,
                                           int64_t axis, int64_t block);

// Which of the scales is that of element i of a tensor.
class OnnxScaleIndex {
 public:
  // InvalidArgument: no such axis, another number of scales.
  static absl::StatusOr<OnnxScaleIndex> Create(const OnnxScales& scales, const Shape& shape,
                                               int64_t axis, int64_t block);
  size_t operator()(int64_t i) const {
    if (one_) return 0;
    const int64_t place = i / inner_ % extent_;
    if (block_ == 0) return static_cast<size_t>(place);
    const int64_t blocks = (extent_ + block_ - 1) / block_;
    return static_cast<size_t>((i / inner_ / extent_ * blocks + place / block_) * inner_ +
                               i % inner_);
  }

 private:
  bool one_ = true;
  int64_t block_ = 0, extent_ = 1, inner_ = 1;
};

// The codes as floats: (code - zero point) * scale.
absl::StatusOr<Tensor> Dequantized(const KnownInts& codes, const OnnxScales& scales, int64_t axis,
                                   int64_t block);

}  // namespace mase

#endif  // MASE_ONNX_ONNX_SCALES_H_
