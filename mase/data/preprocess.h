// What happens to a table between its file and its splits, as MASE does it with pandas and
// scikit-learn, to the same bits.
#ifndef MASE_DATA_PREPROCESS_H_
#define MASE_DATA_PREPROCESS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "mase/data/table.h"
#include "mase/tensor/tensor.h"

namespace mase {

// The rows of `table` without those that repeat an earlier one (features and label), in order;
// -0 equals 0. pandas: drop_duplicates().
std::vector<int64_t> DistinctRows(const DataTable& table);

// A split of rows 0..n-1. scikit-learn: train_test_split(test_size=fraction, random_state=seed).
struct RowSplit {
  std::vector<int64_t> test;   // ceil(fraction n) rows: the first of a NumPy permutation.
  std::vector<int64_t> train;  // The rest of it.
};
RowSplit SplitRows(int64_t n, double test_fraction, uint32_t seed);

// Rows of a tensor along its first axis, in the order of `rows`.
Tensor TakeRows(const Tensor& tensor, absl::Span<const int64_t> rows);

// dst = (src - mean) / scale by column: each step in float64 and rounded to float32. `dst` may be
// `src`.
void ScaleRows(absl::Span<const double> mean, absl::Span<const double> scale, const float* src,
               int64_t rows, float* dst);

// Shifts and scales each feature to mean 0 and standard deviation 1. scikit-learn: StandardScaler,
// as it was in MASE's time; since 1.9 it rounds mean and deviation to float32 first.
class Standardizer {
 public:
  Standardizer(std::vector<double> mean, std::vector<double> scale)
      : mean_(std::move(mean)), scale_(std::move(scale)) {}

  // Mean and population standard deviation per column of float32 [rows, columns], rows > 0,
  // summed in float64 from the first row to the last. A constant column has scale 1.
  static Standardizer Fit(const Tensor& features);

  // ScaleRows of all rows.
  Tensor Apply(Tensor features) const;

  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& scale() const { return scale_; }

 private:
  std::vector<double> mean_;
  std::vector<double> scale_;
};

}  // namespace mase

#endif  // MASE_DATA_PREPROCESS_H_
