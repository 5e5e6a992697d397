// Statistics of a tensor over many samples: MASE's, by the same names and keys, streaming.
//
//   MASE_ASSIGN_OR_RETURN(auto range, StatisticCollector::Create("range_min_max", {}));
//   for (...) MASE_RETURN_IF_ERROR(range->Update(values, {1, 16}));   // Any number of samples.
//   range->Export()    // name: "range_min_max", min, max, range, count
//
//   name              keys                          value
//   record            data, count, size_in_bytes    all values in their order; how many samples; 4
//                                                   bytes a value
//   variance_online   mean, variance, count         population variance, M2 / count
//   variance_precise  mean, variance, count         unbiased variance, M2 / (count - 1)
//   range_n_sigma     min, max, range, count        mean -+ num_sigma * sqrt(variance)
//   range_min_max     min, max, range, count
//   range_quantile    min, max, range, count        the quantiles 1 - q and q
//   abs_mean          abs_mean, count               mean of |x|
//   histogram         edges, counts, count          bins + 1 ends of equal bins, and their counts
//
// `count` is of values, per place of the result. What needs two values has no numbers before
// ("NA" in MASE). Sums are in double: Welford, and Chan, Golub, LeVeque for pieces (Updating
// formulae and a pairwise algorithm for computing sample variances, 1979).
//
// Memory does not grow with the number of samples: record, range_quantile and histogram are exact
// up to ValueSketch::kExactLimit values, and within ValueSketch::kRankError of the rank beyond. A
// record's data are then kSketchedRecord values at equal steps of rank, ascending.
#ifndef MASE_CALIBRATE_STATISTICS_H_
#define MASE_CALIBRATE_STATISTICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/tensor/shape.h"
#include "proto/metadata.pb.h"

namespace mase {

inline constexpr int kSketchedRecord = 4096;

// Not every option is for every statistic.
struct StatisticOptions {
  // Of which values a result is: of all; of one place in all samples (MASE's None, written "NA");
  // or of all along some axes of a sample, of which axis 0 has the extent 1 in an activation.
  enum class Dims { kAll, kElementwise, kAxes };
  Dims dims = Dims::kAll;
  std::vector<int> axes;  // For kAxes; negative from the back.

  bool abs = false;                // range_*: of magnitudes.
  double quantile = 0.975;         // range_quantile: 0.5 to 1.
  double num_sigma = 3;            // range_n_sigma: >= 0.
  bool unbiased_variance = false;  // range_n_sigma: the variance of variance_precise.
  int bins = 64;                   // histogram: 1 to 65,536.
};

class StatisticCollector {
 public:
  // NotFound, with the nearest name; InvalidArgument for an option out of its range, or dims where
  // there are none (record, histogram).
  static absl::StatusOr<std::unique_ptr<StatisticCollector>> Create(
      absl::string_view name, const StatisticOptions& options);

  StatisticCollector(absl::string_view name, const StatisticOptions& options)
      : name_(name), options_(options) {}
  virtual ~StatisticCollector() = default;

  // Sees whole samples of that shape, one behind the other. OutOfRange, naming the first, for a
  // NaN or an infinity; InvalidArgument for another shape than before or an axis it has not;
  // ResourceExhausted for a statistic that keeps values and has more than kMaxSketches places when
  // they become more than ValueSketch::kExactLimit.
  absl::Status Update(absl::Span<const float> values, const Shape& sample);

  // As if what `other`, made with the same name and options, has seen came next.
  absl::Status Merge(const StatisticCollector& other);

  // Name, keys and numbers; those of a place each in row-major order of shape().
  Statistic Export() const;

  // The places of the result: {} for dims = all.
  const Shape& shape() const { return shape_; }
  int64_t samples() const { return samples_; }
  // Whether nothing was sketched.
  virtual bool exact() const { return true; }

  static constexpr int64_t kMaxSketches = 256;

 protected:
  const StatisticOptions& options() const { return options_; }
  int64_t places() const { return places_; }
  // Values a place.
  int64_t count() const { return places_ > 0 ? values_ / places_ : 0; }
  int64_t values() const { return values_; }

  virtual void Start() = 0;  // places() is known.
  virtual absl::Status Add(int64_t place, absl::Span<const float> values) = 0;
  virtual absl::Status DoMerge(const StatisticCollector& other) = 0;
  virtual void DoExport(Statistic* statistic) const = 0;

  static void Set(Statistic* statistic, absl::string_view key, std::vector<double> numbers);
  void SetCount(Statistic* statistic) const {
    Set(statistic, "count", {static_cast<double>(count())});
  }

 private:
  absl::Status Begin(const Shape& sample);

  const std::string name_;
  const StatisticOptions options_;
  bool started_ = false;
  Shape sample_, shape_;
  int64_t places_ = 0, samples_ = 0, values_ = 0;
  // Of each element of a sample its place; empty where there is one place.
  std::vector<int64_t> place_of_;
};

// All names, in the order above.
std::vector<std::string> StatisticNames();

}  // namespace mase

#endif  // MASE_CALIBRATE_STATISTICS_H_
