// Grid: the set of values that an element of a format can take, in exact arithmetic.
//
// Every EXACT family is a grid (element-wise formats) or a rule that picks one of a family of
// grids for each block. Three shapes cover them all:
//
//   integers   k * 2^step_exponent,   lowest_code <= k <= highest_code
//   floats     m * 2^e, m with `mantissa_bits` bits after the leading one, e >= min_exponent,
//              gradual underflow below, |value| <= highest
//   powers     +-2^e, min_exponent <= e <= max_exponent, and zero if has_zero
//
// Quantize here works in double, in which every step is exact, and serves all policies. It is the
// definition; grid_ops.h has the fast float32 path for the common policies, with equal bits.
#ifndef MASE_FORMAT_GRID_H_
#define MASE_FORMAT_GRID_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "mase/format/format.h"

namespace mase {

struct Policy {
  FormatProto::Rounding rounding = FormatProto::NEAREST_EVEN;
  FormatProto::Overflow overflow = FormatProto::SATURATE;

  // Those of `proto`, with the family's own rounding where none is set.
  static Policy Of(const FormatProto& proto,
                   FormatProto::Rounding family_rounding = FormatProto::NEAREST_EVEN);
};

struct Grid {
  enum class Kind { kInteger, kFloat, kPower };
  // Which of a float's top codes are not numbers.
  enum class Specials { kNone, kNanOnly, kIeee };

  Kind kind = Kind::kInteger;
  int bits = 0;                 // Of a code.
  bool sign_magnitude = false;  // Integers: sign bit and magnitude, with -0; else two's complement.
  double lowest = 0, highest = 0;

  int step_exponent = 0;      // Integers and floats: the smallest step is 2^step_exponent.
  int mantissa_bits = 0;      // Floats.
  int min_exponent = 0;       // Floats: of the smallest normal. Powers: of the smallest value.
  int max_exponent = 0;       // Powers.
  bool explicit_one = false;  // Floats: the code stores the leading one (minifloat_denorm).
  Specials specials = Specials::kNone;
  bool has_zero = false;  // Powers.

  // Integers of `width` bits; `step_exponent` is minus the fraction's width.
  static Grid TwosComplement(int width, bool is_signed, int step_exponent);
  // A sign and width - 1 bits of magnitude.
  static Grid SignMagnitude(int width, int step_exponent);
  // Floats with hidden bit; every exponent code is used for numbers unless `specials` says
  // otherwise. The smallest normal is 2^(1 - bias).
  static Grid Float(int exponent_width, int mantissa_bits, int bias,
                    Specials specials = Specials::kNone);
  // Floats 0.mantissa * 2^e, e from -bias to 2^exponent_width - 1 - bias.
  static Grid FloatExplicitOne(int exponent_width, int mantissa_bits, int bias);
  // Powers 2^-bias .. 2^(2^(width-1) - 1 - bias); with a zero the smallest is given up for it.
  static Grid Power(int width, int bias, bool has_zero);

  // Every value times 2^exponent, without those beyond float32. Shifted(0) clips alone.
  Grid Shifted(int exponent) const;

  // The value for `x`; NaN for NaN. `uniform` in [0, 1) decides STOCHASTIC.
  float Quantize(float x, const Policy& policy, double uniform = 0) const;
  // Whether rounding without bounds leaves the range.
  bool Saturates(float x, const Policy& policy) const;

  // The code of a value of the grid; none if it is not one.
  std::optional<uint32_t> Code(float value) const;
  // The value of a code (of which bits above `bits` are ignored).
  float Value(uint32_t code) const;
  // Every finite value, ascending, once; empty above 2^16 codes.
  std::vector<float> Values() const;
  // The smallest distance of two neighbours.
  double Step() const;
};

// `value` rounded to an integer. `uniform` in [0, 1) decides STOCHASTIC.
double RoundToInteger(double value, FormatProto::Rounding rounding, double uniform);

// A number in [0, 1) that depends on `seed` and `index` alone, so that stochastic formats draw the
// same on any number of threads.
double UniformAt(uint64_t seed, uint64_t index);

}  // namespace mase

#endif  // MASE_FORMAT_GRID_H_
