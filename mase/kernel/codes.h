// Codes: whole numbers in memory that stand for the numbers of a grid, which is what integer
// kernels (kernel/integer) read and write in place of float32.
//
//   number = (stored - zero) * scale        stored = clamp(round(number / scale) + zero, lo, hi)
//
//   integer { width: 8 frac_width: 4 }                  scale 1/16, zero 128, stored 0 .. 255
//   integer { width: 8 frac_width: 4 is_signed: false } scale 1/16, zero 0, stored 0 .. 255
//   affine { width: 4 scale: 0.1 zero_point: 3 }        scale 0.1, zero 11, stored 0 .. 15
//
// Up to 8 bits are one byte without sign, whatever the format: a signed code is stored 128 higher
// (in general: less the smallest code), since the instructions that multiply bytes want one factor
// without sign. So a zero point costs nothing: products with it are one number for each output,
// known when the weights are packed. 9 to 16 bits are an int32, their zero chosen so that stored
// numbers fit 16 bits.
//
// Where the scale is a power of two, all of this is exact in float32 but for the rounding itself.
#ifndef MASE_KERNEL_CODES_H_
#define MASE_KERNEL_CODES_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/tensor/shape.h"

namespace mase {

// The steps of a program between numbers and codes.
inline constexpr absl::string_view kEncode = "encode";
inline constexpr absl::string_view kDecode = "decode";
// The kernel that computes these, and relu on codes, where nothing is in front of them.
inline constexpr absl::string_view kConvert = "convert";

struct Codes {
  // How a number between two codes is rounded; as FormatProto::Rounding.
  enum class Rounding : uint8_t {
    kNearestEven,
    kNearestAway,
    kFloor,
    kCeiling,
    kTowardZero,
    kAwayFromZero,
  };

  float scale = 1;           // > 0; a normal float32, as 1 / scale is.
  int32_t zero = 0;          // Stored number of 0; lo <= zero <= hi.
  int32_t lo = 0, hi = 255;  // Smallest and largest stored number.
  Rounding rounding = Rounding::kNearestEven;
  bool nan_is_zero = false;  // Else a NaN has no code, and is OutOfRange where tensors are encoded.

  bool is_byte() const { return lo >= 0 && hi <= 255; }
  DType dtype() const { return is_byte() ? DType::kUInt8 : DType::kInt32; }
  // The ends in steps: numbers from least() * scale to most() * scale.
  int32_t least() const { return lo - zero; }
  int32_t most() const { return hi - zero; }

  bool operator==(const Codes&) const = default;
};

// What a product's stored weight was rounded to: whole multiples, `least` to `most`, of one scale,
// or of one for each output.
struct WeightCodes {
  int32_t least = 0, most = 0;
  std::vector<float> scales;

  bool is_byte() const { return least >= -128 && most <= 127; }
};

}  // namespace mase

#endif  // MASE_KERNEL_CODES_H_
