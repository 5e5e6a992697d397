// What training a learned step size (family `lsq`) needs beyond Format::Gradient.
#ifndef MASE_FORMAT_LSQ_H_
#define MASE_FORMAT_LSQ_H_

#include "absl/types/span.h"
#include "proto/format.pb.h"

namespace mase {

// The codes' range: sym -level/2 .. level/2 - 1, else 0 .. level - 1. An odd symmetric level has
// (level - 1) / 2 on both sides with EXACT semantics, and one more below with REFERENCE.
struct LsqRange {
  int lo, hi;
};
LsqRange LsqRangeOf(const FormatProto& proto);

// Whether the format is an lsq with a step to learn: one below level 256.
bool HasLearnedStep(const FormatProto& proto);

// The gradient by the step: the sum of diff_dst * (x in range ? round(x/s) - x/s : lo or hi),
// times 1 / sqrt(hi * size). Spans of equal size. 0 for a level of 256 and more.
float LsqScaleGradient(const FormatProto& proto, absl::Span<const float> src,
                       absl::Span<const float> diff_dst);

}  // namespace mase

#endif  // MASE_FORMAT_LSQ_H_
