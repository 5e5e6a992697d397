// Fixed point whose width training finds: `integer` with learned_width "tensor", HGQ's idea (Sun et
// al.: Gradient-based automatic mixed precision quantization for neural networks on-chip, 2024).
// own_grids.h has those of channels and single weights.
//
// The bits in front of the point, sign included, stay; those behind it are a real number f that
// training moves, and the format has the nearest whole number of them:
//
//   integer { width: 6 frac_width: 3 learned_width: "tensor" trained_frac_width: 2.7 }
//
// is integer 6/3 to all that computes, counts or exports.
#ifndef MASE_FORMAT_LEARNED_WIDTH_H_
#define MASE_FORMAT_LEARNED_WIDTH_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "proto/format.pb.h"

namespace mase {

// Whether the format is an integer of which the tensor's width is learned.
bool HasLearnedWidth(const FormatProto& proto);

// Where f may be: from a width of 2 bits (1 without a sign) on, up to 24 or the width it has.
struct FracWidthRange {
  float lowest, highest;
};
FracWidthRange FracWidthRangeOf(const FormatProto& proto);

// f, within its range; frac_width where nothing was trained yet. Requires HasLearnedWidth.
float TrainedFracWidth(const FormatProto& proto);

// Makes f `frac_width`, or the end of its range that is nearer, and width and frac_width follow it.
// InvalidArgument if it is no number.
absl::Status SetTrainedFracWidth(float frac_width, FormatProto& proto);

// The gradient by f: the sum of diff_dst * ln 2 * (x - q) in range, as the step is 2^-f and the
// gradient by a step that of LSQ; of diff_dst * ln 2 * step where x was cut at the upper end, which
// moves with f, and 0 at the lower, which does not. Spans of equal size.
float FracWidthGradient(const FormatProto& proto, absl::Span<const float> src,
                        absl::Span<const float> diff_dst);

}  // namespace mase

#endif  // MASE_FORMAT_LEARNED_WIDTH_H_
