// Pieces of C99.
#ifndef MASE_EXPORT_C_C_TEXT_H_
#define MASE_EXPORT_C_C_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/kernel/codes.h"

namespace mase {

// Types of tables of weights, and of codes between layers, that fit a byte: one, or two where
// vectors multiply 16 bits.
inline constexpr absl::string_view kByteWeights = "weight8_t";
inline constexpr absl::string_view kByteCodes = "code8_t";
inline constexpr absl::string_view kUnsignedByteCodes = "ucode8_t";

// The smallest type of <stdint.h> that holds all whole numbers from `least` to `most`.
absl::string_view CTypeFor(int64_t least, int64_t most);
int64_t CSizeOf(absl::string_view type);

// A float, exactly: "0x1.8p+1f".
std::string CFloat(float number);

// static const TYPE NAME[N] = {...};
std::string CTable(absl::string_view name, absl::string_view type,
                   absl::Span<const int64_t> numbers);
std::string CTable(absl::string_view name, absl::Span<const float> numbers);

// Helper functions, by use: static functions that nobody calls are warnings. Each call returns the
// name of the helper.
class CHelpers {
 public:
  // int32_t NAME(float x, float inverse, int32_t least, int32_t most): the code of x.
  std::string Encode(Codes::Rounding rounding);
  // T NAME(T v, int n): v / 2^n, rounded; 0 < n. T is int32_t where that is `narrow` (n < 31), else
  // int64_t (n < 63).
  std::string Shift(Codes::Rounding rounding, bool narrow);
  // int64_t NAME(int64_t v): v with the 24 bits of a float, ties to even.
  std::string ToFloatPrecision();
  // int32_t NAME(T v, int32_t least, int32_t most)
  std::string Clamp(bool narrow);

  std::string text() const;

 private:
  std::string Use(absl::string_view name, std::string definition);

  std::vector<std::pair<std::string, std::string>> used_;
};

}  // namespace mase

#endif  // MASE_EXPORT_C_C_TEXT_H_
