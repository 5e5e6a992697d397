#include "mase/data/preprocess.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "glog/logging.h"
#include "mase/base/random.h"
#include "mase/data/row_sketch.h"

namespace mase {

std::vector<int64_t> DistinctRows(const DataTable& table) {
  const int64_t rows = table.rows();
  const int64_t columns = table.features.shape()[1];
  const float* features = table.features.data<float>().data();
  const int64_t* labels = table.labels.data<int64_t>().data();

  std::vector<int64_t> kept;
  kept.reserve(rows);
  const uint64_t mask = std::bit_ceil(static_cast<uint64_t>(rows) * 2) - 1;
  std::vector<int64_t> slots(mask + 1, -1);  // Open addressing: the kept row of each hash.
  for (int64_t row = 0; row < rows; ++row) {
    const float* values = features + row * columns;
    uint64_t slot = RowId(values, columns, labels[row]) & mask;
    while (slots[slot] >= 0) {
      const int64_t other = slots[slot];
      if (labels[other] == labels[row] &&
          std::equal(values, values + columns, features + other * columns)) {
        break;
      }
      slot = (slot + 1) & mask;
    }
    if (slots[slot] >= 0) continue;
    slots[slot] = row;
    kept.push_back(row);
  }
  return kept;
}

RowSplit SplitRows(int64_t n, double test_fraction, uint32_t seed) {
  const std::vector<int64_t> order = NumpyGenerator(seed).Permutation(n);
  const int64_t test = static_cast<int64_t>(std::ceil(test_fraction * n));
  return {{order.begin(), order.begin() + test}, {order.begin() + test, order.end()}};
}

Tensor TakeRows(const Tensor& tensor, absl::Span<const int64_t> rows) {
  Shape shape = tensor.shape();
  const size_t row_bytes = shape[0] == 0 ? 0 : tensor.size_bytes() / shape[0];
  shape.set_dim(0, rows.size());
  Tensor taken(tensor.dtype(), shape);
  const char* src = static_cast<const char*>(tensor.raw_data());
  char* dst = static_cast<char*>(taken.mutable_raw_data());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(dst + i * row_bytes, src + rows[i] * row_bytes, row_bytes);
  }
  return taken;
}

// Follows scikit-learn's _incremental_mean_and_var and _is_constant_feature step by step.
Standardizer Standardizer::Fit(const Tensor& features) {
  const int64_t rows = features.shape()[0];
  const int64_t columns = features.shape()[1];
  CHECK_GT(rows, 0);
  const float* const x = features.data<float>().data();
  const double n = static_cast<double>(rows);

  std::vector<double> mean(columns, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) mean[c] += x[r * columns + c];
  }
  for (double& m : mean) m /= n;

  std::vector<double> squares(columns, 0.0);
  std::vector<double> correction(columns, 0.0);  // What rounding of the mean leaves over.
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double centred = x[r * columns + c] - mean[c];
      correction[c] += centred;
      squares[c] += centred * centred;
    }
  }
  std::vector<double> scale(columns);
  for (int64_t c = 0; c < columns; ++c) {
    const double variance = (squares[c] - correction[c] * correction[c] / n) / n;
    constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
    const double mean_error = n * mean[c] * kEpsilon;
    const bool constant = variance <= n * kEpsilon * variance + mean_error * mean_error;
    scale[c] = constant ? 1.0 : std::sqrt(variance);
  }
  return Standardizer(std::move(mean), std::move(scale));
}

Tensor Standardizer::Apply(Tensor features) const {
  const int64_t columns = features.shape()[1];
  CHECK_EQ(columns, static_cast<int64_t>(mean_.size()));
  float* rows = features.mutable_data<float>().data();
  ScaleRows(mean_, scale_, rows, features.shape()[0], rows);
  return features;
}

void ScaleRows(absl::Span<const double> mean, absl::Span<const double> scale, const float* src,
               int64_t rows, float* dst) {
  for (int64_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < mean.size(); ++c) {
      const float centred = static_cast<float>(*src++ - mean[c]);
      *dst++ = static_cast<float>(centred / scale[c]);
    }
  }
}

}  // namespace mase
