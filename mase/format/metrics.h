// How far a quantized tensor is from the original.
#ifndef MASE_FORMAT_METRICS_H_
#define MASE_FORMAT_METRICS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "mase/base/table.h"

namespace mase {

// Over the values of x that are finite. Where y is infinite or NaN, the error is infinite.
struct QuantizationError {
  double sqnr_db = 0;  // 10 log10(sum x^2 / sum (x - y)^2); +Inf without error, -Inf where an error
                       // is infinite, NaN without signal.
  double max = 0;      // Largest |x - y|.
  double mean = 0;     // Mean |x - y|.
  int64_t left_out = 0;  // Values of x that are not finite.
};

// An SQNR for tables: "exact" without error, "-inf" where an error is infinite, empty without
// signal.
Cell SqnrCell(double sqnr_db);

// The same over many pieces: Add each, then Total. Sums in double, in order.
class ErrorSum {
 public:
  // Spans of equal size.
  void Add(absl::Span<const float> x, absl::Span<const float> y);
  QuantizationError Total() const;

 private:
  double signal_ = 0, noise_ = 0, sum_ = 0, max_ = 0;
  int64_t count_ = 0, left_out_ = 0;
};

// Of spans of equal size.
QuantizationError MeasureQuantizationError(absl::Span<const float> x, absl::Span<const float> y);

}  // namespace mase

#endif  // MASE_FORMAT_METRICS_H_
