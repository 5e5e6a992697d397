// What is remembered of a stream of numbers, so that any of its ranks can be asked for.
//
//   ValueSketch seen;
//   for (...) seen.Add(values);
//   seen.Quantiles({0.025, 0.975})    // As numpy.quantile gives them.
//   seen.exact()                      // Or within kRankError.
//
// Up to `exact_limit` numbers are kept as they came. Beyond, they go through a cascade of buffers
// of kBufferSize numbers: a full buffer is sorted, every second number goes up, and counts for
// twice as many there (Manku, Rajagopalan, Lindsay: Approximate medians and other quantiles in one
// pass and with limited memory, 1998). That shifts a rank by at most the weight of one number, so
// that n numbers are off by at most n * levels / kBufferSize, with levels < 64. Nothing is drawn at
// random: the same numbers in the same order give the same answers.
#ifndef MASE_CALIBRATE_VALUE_SKETCH_H_
#define MASE_CALIBRATE_VALUE_SKETCH_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace mase {

class ValueSketch {
 public:
  static constexpr int64_t kExactLimit = 4'000'000;
  static constexpr int64_t kBufferSize = 1 << 16;
  // The most that a rank is off, as a share of all numbers, where !exact().
  static constexpr double kRankError = 0.001;

  explicit ValueSketch(int64_t exact_limit = kExactLimit) : exact_limit_(exact_limit) {}

  // `values` hold no NaN.
  void Add(absl::Span<const float> values);
  // As if what `other` has seen came after what this has seen.
  void Merge(const ValueSketch& other);

  int64_t count() const { return count_; }
  bool exact() const { return exact_; }

  // All numbers in the order in which they came; only while exact().
  absl::Span<const float> values() const { return values_; }

  // The numbers below which these shares (0 to 1) of all numbers lie, between two of them linearly
  // interpolated. The smallest and the largest number are always exact. Needs count() > 0.
  std::vector<double> Quantiles(absl::Span<const double> shares) const;

  // How many numbers lie in each of `bins` >= 1 equal bins from the smallest to the largest; each
  // bin has its lower end, the last one both. Needs count() > 0.
  std::vector<int64_t> Histogram(int bins) const;

 private:
  // A number, and how many it stands for.
  using Weighted = std::pair<float, int64_t>;

  void AddToBuffers(absl::Span<const float> values);
  void Compact(size_t level);
  std::vector<Weighted> Sorted() const;

  struct Buffer {
    std::vector<float> values;
    bool keep_odd = false;  // Which of the sorted numbers go up next time: alternately.
  };

  int64_t exact_limit_;
  int64_t count_ = 0;
  float lowest_ = 0, highest_ = 0;
  bool exact_ = true;
  std::vector<float> values_;    // While exact.
  std::vector<Buffer> buffers_;  // Beyond: a number of buffer i stands for 2^i.
};

}  // namespace mase

#endif  // MASE_CALIBRATE_VALUE_SKETCH_H_
