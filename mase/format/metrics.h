// How far a quantized tensor is from the original.
#ifndef MASE_FORMAT_METRICS_H_
#define MASE_FORMAT_METRICS_H_

#include "absl/types/span.h"

namespace mase {

struct QuantizationError {
  double sqnr_db = 0;  // 10 log10(sum x^2 / sum (x - y)^2); +Inf without error, NaN without signal.
  double max = 0;      // Largest |x - y|.
  double mean = 0;     // Mean |x - y|.
};

// Over pairs of finite values; spans of equal size. Sums in double, in order.
QuantizationError MeasureQuantizationError(absl::Span<const float> x, absl::Span<const float> y);

}  // namespace mase

#endif  // MASE_FORMAT_METRICS_H_
