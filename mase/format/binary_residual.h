// Residual sign, for the families binary_residual and lutnet.
//
//   r_0 = x;  o_l = sign(r_l) |mean_l|;  r_(l+1) = r_l - o_l
#ifndef MASE_FORMAT_BINARY_RESIDUAL_H_
#define MASE_FORMAT_BINARY_RESIDUAL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/format/format.h"

namespace mase {

inline constexpr int kMaxResidualLevels = 8;

// (L, L - 1, ..., 1) / sum: the means before training.
std::vector<float> InitialResidualMeans(int levels);

// The outputs o_l of every level, [levels, n], for `src` of n elements. sign(0) is 0 with
// `reference`, else 1.
void ResidualLevels(absl::Span<const float> means, bool reference, absl::Span<const float> src,
                    absl::Span<float> levels);

// The gradient of the sum of the levels by each mean, given diff_dst by the sum.
std::vector<float> ResidualMeansGradient(absl::Span<const float> means, bool reference,
                                         absl::Span<const float> src,
                                         absl::Span<const float> diff_dst);

// A format whose values are the sums of the levels. Checks `levels` and the number of `means`
// (none: the initial ones).
absl::StatusOr<std::unique_ptr<const Format>> MakeResidualFormat(absl::string_view family,
                                                                 const FormatProto& proto,
                                                                 int levels,
                                                                 absl::Span<const float> means);

}  // namespace mase

#endif  // MASE_FORMAT_BINARY_RESIDUAL_H_
