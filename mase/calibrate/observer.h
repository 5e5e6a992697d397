// What calibration sees of values that are to share one scale.
//
//   Observer observer(rows * row_size);
//   for (...) {
//     MASE_RETURN_IF_ERROR(observer.Observe(values));   // As often as the batch has pieces.
//     observer.EndBatch();
//   }
#ifndef MASE_CALIBRATE_OBSERVER_H_
#define MASE_CALIBRATE_OBSERVER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace mase {

// A closed interval of real numbers.
struct Range {
  double lo = 0, hi = 0;
};

class Observer {
 public:
  // The most values that are kept.
  static constexpr int64_t kMaxValues = 1 << 20;

  // `expected` values will come. `momentum` in (0, 1] is the weight of a new batch in
  // moving_range(): PyTorch's averaging_constant.
  explicit Observer(int64_t expected, double momentum = 0.01);

  // OutOfRange, naming the first one, for a NaN or an infinity.
  absl::Status Observe(absl::Span<const float> values);
  void EndBatch();

  int64_t count() const { return count_; }
  // Nothing to find a scale from: no value at all, or only zeros.
  bool empty() const { return count_ == 0 || (range_.lo == 0 && range_.hi == 0); }

  // The smallest and the largest value.
  Range range() const { return range_; }

  // The ends of the first batch, each then moved by every later one:
  // end += momentum * (end of the batch - end). As torch.ao.quantization's
  // MovingAverageMinMaxObserver.
  Range moving_range() const { return moving_; }

  // All values in their order, or where more than kMaxValues are expected a sample: one of each of
  // kMaxValues stretches of equal length, at a place that is a function of the stretch alone, so
  // that neither batches nor threads matter.
  absl::Span<const float> values() const { return values_; }

  // The value below which `percent` (0 to 100) of the kept values lie, or of their magnitudes;
  // between two of them linearly interpolated, as numpy.percentile does. Needs a value.
  double Percentile(double percent) const;
  double MagnitudePercentile(double percent) const;

 private:
  int64_t Place(int64_t stretch) const;

  int64_t expected_;
  double momentum_;
  int64_t count_ = 0;
  int64_t next_kept_ = 0;  // The place of the next value to keep.
  Range range_, batch_, moving_;
  int64_t batch_count_ = 0, batches_ = 0;
  std::vector<float> values_;
};

}  // namespace mase

#endif  // MASE_CALIBRATE_OBSERVER_H_
