// ONNX's element types that stand for quantized numbers, read and written.
#ifndef MASE_ONNX_CODE_TYPES_H_
#define MASE_ONNX_CODE_TYPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/format/format.h"
#include "onnx/onnx_pb.h"
#include "proto/format.pb.h"

namespace mase {

// Whole numbers. Those of 4 bits are younger than Debian's library, which does not name them.
struct CodeType {
  int type, width;
  bool is_signed;
  int64_t opset;  // The first in which QuantizeLinear makes them.

  int64_t least() const { return is_signed ? -(int64_t{1} << (width - 1)) : 0; }
  int64_t most() const { return least() + (int64_t{1} << width) - 1; }
};
// From the narrowest on.
inline constexpr CodeType kCodeTypes[] = {
    {22, 4, true, 21},
    {21, 4, false, 21},
    {::onnx::TensorProto::INT8, 8, true, 10},
    {::onnx::TensorProto::UINT8, 8, false, 10},
    {::onnx::TensorProto::INT16, 16, true, 21},
    {::onnx::TensorProto::UINT16, 16, false, 21},
};

// Codes as raw_data has them: little-endian, those of 4 bits in pairs, the first in the low half.
std::string PackCodesFor(const CodeType& type, absl::Span<const int64_t> codes);

// Floats of 8 bits (opset 19 on), whose numbers are those of the format that stands beside them,
// rounded to nearest, ties to even, saturated.
struct Float8Type {
  int type;
  absl::string_view name;
  absl::string_view format;
  int exponent_bits, fraction_bits;
  bool has_infinities;  // E5M2: the top exponent is no number. E4M3FN: the top code alone is not.

  double ValueOf(uint8_t code) const;  // NaN for a code that is no finite number.
};
inline constexpr Float8Type kFloat8Types[] = {
    {17, "FLOAT8E4M3FN", "mx { element_format: \"fp8_e4m3\" }", 4, 3, false},
    {19, "FLOAT8E5M2", "mx { element_format: \"fp8_e5m2\" }", 5, 2, true},
};
inline constexpr int64_t kFloat8Opset = 19;
const Float8Type* FindFloat8(int type);  // Null: none.

}  // namespace mase

#endif  // MASE_ONNX_CODE_TYPES_H_
