#include "mase/onnx/code_types.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mase {

std::string PackCodesFor(const CodeType& type, absl::Span<const int64_t> codes) {
  std::string bytes;
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto code = static_cast<uint64_t>(codes[i]);
    if (type.width == 4) {
      if (i % 2 == 0) bytes.push_back(0);
      bytes.back() = static_cast<char>(static_cast<uint8_t>(bytes.back()) |
                                       ((code & 0xf) << (i % 2 == 0 ? 0 : 4)));
      continue;
    }
    for (int bit = 0; bit < type.width; bit += 8) bytes.push_back(static_cast<char>(code >> bit));
  }
  return bytes;
}

double Float8Type::ValueOf(uint8_t code) const {
  const int exponent = (code >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = code & ((1 << fraction_bits) - 1);
  const bool top = exponent == (1 << exponent_bits) - 1;
  if (top && (has_infinities || fraction == (1 << fraction_bits) - 1)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double significand = (exponent == 0 ? 0 : 1 << fraction_bits) + fraction;
  const double size = std::ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
  return (code & 0x80) != 0 ? -size : size;
}

const Float8Type* FindFloat8(int type) {
  for (const Float8Type& known : kFloat8Types) {
    if (known.type == type) return &known;
  }
  return nullptr;
}

}  // namespace mase
