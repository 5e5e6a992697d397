#include "mase/exec/interval.h"

#include <algorithm>
#include <cmath>

namespace mase {
namespace {

constexpr double kZ = 1.959963984540054;  // The normal distribution's 0.975 quantile.

}  // namespace

Interval WilsonInterval(int64_t correct, int64_t rows) {
  if (rows == 0) return {0, 1};
  const double n = static_cast<double>(rows);
  const double p = static_cast<double>(correct) / n;
  const double z2 = kZ * kZ;
  const double middle = p + z2 / (2 * n);
  const double half = kZ * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  const double scale = 1 + z2 / n;
  return {std::max(0.0, (middle - half) / scale), std::min(1.0, (middle + half) / scale)};
}

PairedDifference DifferenceOnSameRows(int64_t only_first, int64_t only_second, int64_t rows) {
  PairedDifference result{rows, only_first, only_second, 0, {-1, 1}};
  if (rows == 0) return result;
  result.difference = static_cast<double>(only_second - only_first) / static_cast<double>(rows);
  const double b = static_cast<double>(only_first) + 0.5;
  const double c = static_cast<double>(only_second) + 0.5;
  const double n = static_cast<double>(rows) + 2;
  const double middle = (c - b) / n;
  const double half = kZ * std::sqrt(b + c - (c - b) * (c - b) / n) / n;
  result.interval = {std::max(-1.0, middle - half), std::min(1.0, middle + half)};
  return result;
}

PairedDifference CompareOnSameRows(absl::Span<const uint8_t> first,
                                   absl::Span<const uint8_t> second, int64_t rows) {
  int64_t only_first = 0, only_second = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int a = first[row / 8] >> (row % 8) & 1, b = second[row / 8] >> (row % 8) & 1;
    only_first += a > b;
    only_second += b > a;
  }
  return DifferenceOnSameRows(only_first, only_second, rows);
}

}  // namespace mase
