// Channels and single weights whose widths training finds: `integer` with learned_width "channel"
// or "weight" (HGQ, format/learned_width.h, has the widths of whole tensors).
//
//   integer { width: 8 frac_width: 6 learned_width: "weight" }
//
// Each value of the tensor, or each index of its first axis, has a number f of its own, and is
// rounded to round(f) bits behind the point: a grid that lies within that of the format, of which
// it has the bits in front of the point and the range but for the last steps. Where no bit of a
// magnitude is left, the value is 0: it is pruned.
//
// So all that reads a net knows one grid a tensor: what training gives back are values that were
// rounded to their own grids and, as the format, the coarsest that has all of them. Rounding them
// to that changes nothing.
#ifndef MASE_FORMAT_OWN_GRIDS_H_
#define MASE_FORMAT_OWN_GRIDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/format/learned_width.h"
#include "mase/tensor/shape.h"
#include "proto/format.pb.h"

namespace mase {

// Whether the format is an integer whose channels or weights have widths to learn.
bool HasOwnGrids(const FormatProto& proto);

// How many numbers f a tensor of this shape has: [O] for "channel" (of a scalar [1]), the shape
// itself for "weight". Requires HasOwnGrids, as do all below.
Shape OwnGridsShape(const FormatProto& proto, const Shape& shape);

// Where f may be: from no bit of a magnitude on up to most_width.
FracWidthRange OwnGridRange(const FormatProto& proto);

// Rounds src[i] to the grid of frac_widths[i / (src.size() / frac_widths.size())]: ties to even,
// and saturated. `dst` is as long as `src` and may be it; sizes divide. InvalidArgument if a width
// is no finite number.
absl::Status RoundToOwnGrids(const FormatProto& proto, absl::Span<const float> frac_widths,
                             absl::Span<const float> src, absl::Span<float> dst);

// The gradients of that: by `src`, which may be null, the format's rule (straight through, or 0
// where a value was cut); by the widths, added up over what shares one, FracWidthGradient's.
// `diff_src` may be `diff_dst`.
void OwnGridsGradient(const FormatProto& proto, absl::Span<const float> frac_widths,
                      absl::Span<const float> src, const float* diff_dst, float* diff_src,
                      absl::Span<float> diff_frac_widths);

// Makes `width` and `frac_width` those of the coarsest grid that has all `values`, of at least 2
// bits (1 without a sign), and keeps in most_width what training may still give. The values are
// some that were rounded to their own grids.
void SetCoveringGrid(absl::Span<const float> values, FormatProto& proto);

// Errors of the fields for learned widths, as Format::Create has them. `proto` has its defaults.
absl::Status CheckLearnedWidth(absl::string_view family, const FormatProto& proto);

}  // namespace mase

#endif  // MASE_FORMAT_OWN_GRIDS_H_
