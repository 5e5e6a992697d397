#include "mase/format/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace mase {

Cell SqnrCell(double sqnr_db) {
  if (std::isinf(sqnr_db)) return sqnr_db > 0 ? Cell("exact") : Cell("-inf");
  return std::isnan(sqnr_db) ? Cell() : Cell(sqnr_db);
}

void ErrorSum::Add(absl::Span<const float> x, absl::Span<const float> y) {
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) {
      ++left_out_;
      continue;
    }
    const double difference = std::isfinite(y[i]) ? std::fabs(double{x[i]} - y[i])
                                                  : std::numeric_limits<double>::infinity();
    signal_ += double{x[i]} * x[i];
    noise_ += difference * difference;
    sum_ += difference;
    max_ = std::max(max_, difference);
    ++count_;
  }
}

QuantizationError ErrorSum::Total() const {
  return {.sqnr_db = 10 * std::log10(signal_ / noise_),
          .max = max_,
          .mean = count_ > 0 ? sum_ / static_cast<double>(count_) : 0,
          .left_out = left_out_};
}

QuantizationError MeasureQuantizationError(absl::Span<const float> x, absl::Span<const float> y) {
  ErrorSum sum;
  sum.Add(x, y);
  return sum.Total();
}

}  // namespace mase
