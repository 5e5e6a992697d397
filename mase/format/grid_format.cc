#include "mase/format/grid_format.h"

#include <bit>

#include "mase/base/status_macros.h"
#include "mase/format/grid_ops.h"

namespace mase {

absl::Status GridFormat::DoQuantize(const float* src, float* dst, const Shape& shape,
                                    uint64_t seed) const {
  QuantizeOnGrid(grid_, policy_, src, dst, shape.elements(), seed);
  return absl::OkStatus();
}

absl::Status GridFormat::DoFindSaturated(const float* src, uint8_t* saturated,
                                         const Shape& shape) const {
  ForBestIsa([=, count = shape.elements(), from = inside_from_, to = inside_to_] {
    for (int64_t i = 0; i < count; ++i) saturated[i] = (src[i] < from) | (src[i] > to);
  });
  return absl::OkStatus();
}

float GridFormat::Reach(uint32_t sign) const {
  // Who is beyond the range stays there farther out: bisection over bit patterns finds the border.
  uint32_t inside = 0, outside = 0x7F800001;  // Zero, and the first above infinity.
  while (outside - inside > 1) {
    const uint32_t middle = inside + (outside - inside) / 2;
    const bool saturates = grid_.Saturates(std::bit_cast<float>(sign | middle), policy_);
    (saturates ? outside : inside) = middle;
  }
  return std::bit_cast<float>(sign | inside);
}

absl::Status GridFormat::DoEncode(const float* src, const Shape& shape,
                                  EncodedTensor* encoded) const {
  std::vector<float> values(shape.elements());
  MASE_RETURN_IF_ERROR(DoQuantize(src, values.data(), shape, 0));
  encoded->codes.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const std::optional<uint32_t> code = grid_.Code(values[i]);
    if (!code.has_value()) return NoCodeError(i, values[i]);
    encoded->codes[i] = *code;
  }
  return absl::OkStatus();
}

absl::Status GridFormat::DoDecode(const EncodedTensor& encoded, float* dst) const {
  for (size_t i = 0; i < encoded.codes.size(); ++i) dst[i] = grid_.Value(encoded.codes[i]);
  return absl::OkStatus();
}

}  // namespace mase
