// The part of a format that follows a tensor's range: where the binary point lies, or the scale.
#ifndef MASE_PLUGINS_COMPARE_FORMATS_FIT_RANGE_H_
#define MASE_PLUGINS_COMPARE_FORMATS_FIT_RANGE_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/format.pb.h"

namespace mase::plugins::compare_formats {

// Of finite values; {0, 0} without any.
struct Range {
  float lowest = 0, highest = 0;

  float magnitude() const { return highest > -lowest ? highest : -lowest; }
};

Range RangeOf(absl::Span<const float> values);

// `format` with the finest range that covers `range`, if it leaves its range open:
//
//   integer, logicnets, flexround with a width                  frac_width
//   minifloat_ieee, minifloat_denorm, log                       exponent_bias
//   lsq                                                         scale
//   affine                                                      scale and zero_point
//
// Everything else is scaled by its data or fixed, and stays as it is. Errors are those of
// Format::Create.
absl::StatusOr<FormatProto> FitToRange(FormatProto format, const Range& range);

}  // namespace mase::plugins::compare_formats

#endif  // MASE_PLUGINS_COMPARE_FORMATS_FIT_RANGE_H_
