#include "mase/format/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace mase {

QuantizationError MeasureQuantizationError(absl::Span<const float> x, absl::Span<const float> y) {
  QuantizationError error;
  double signal = 0, noise = 0, sum = 0;
  int64_t count = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) {
      ++error.left_out;
      continue;
    }
    const double difference = std::isfinite(y[i]) ? std::fabs(double{x[i]} - y[i])
                                                  : std::numeric_limits<double>::infinity();
    signal += double{x[i]} * x[i];
    noise += difference * difference;
    sum += difference;
    error.max = std::max(error.max, difference);
    ++count;
  }
  error.mean = count > 0 ? sum / static_cast<double>(count) : 0;
  error.sqnr_db = 10 * std::log10(signal / noise);
  return error;
}

}  // namespace mase
