// Formats whose values are whole multiples of a step, as integer arithmetic needs them.
//
//   integer, fixed          clamp(round(x * 2^f)) / 2^f           step 2^-f
//   affine                  scale * (code - zero_point)           step scale, one or one a block
//   lsq                     clamp(round(x / scale)) * scale       step scale
//   binary { bipolar }      -1, 1                                 step 1
//   ternary, not scaled     -1, 0, 1                              step 1
#ifndef MASE_FORMAT_WHOLE_NUMBERS_H_
#define MASE_FORMAT_WHOLE_NUMBERS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/format/grid.h"
#include "proto/format.pb.h"

namespace mase {

// A value is n * step with a whole n, least <= n <= most.
struct WholeNumbers {
  struct Block {
    float step = 1;
    int64_t least = 0, most = 0;
  };
  std::vector<Block> blocks;        // One, or those of affine's block_size.
  std::vector<int32_t> block_size;  // As in AffineFormat.
  FormatProto::Rounding rounding = FormatProto::NEAREST_EVEN;
  FormatProto::Nan nan = FormatProto::PROPAGATE;
  // Whether what a tensor is rounded to follows from steps and ends alone, element by element.
  bool rounds_by_step = true;

  // Whether every step is a power of two: then the arithmetic of such values is exact.
  bool powers_of_two() const;
  // The largest |n|.
  int64_t largest() const;
  // Bits of the widest n, as an unsigned number if none is negative.
  int width() const;
};

// What the format is as whole numbers. Unimplemented, saying why, for the others: families that are
// no multiples of a step ("minifloat_ieee is no integer format"), REFERENCE semantics, draws
// (STOCHASTIC), codes that wrap around.
absl::StatusOr<WholeNumbers> WholeNumbersOf(const FormatProto& format);

}  // namespace mase

#endif  // MASE_FORMAT_WHOLE_NUMBERS_H_
