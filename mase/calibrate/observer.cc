#include "mase/calibrate/observer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/format/grid.h"

namespace mase {
namespace {

double PercentileOf(std::vector<float> values, double percent) {
  const double position = percent / 100 * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), at, values.end());
  const double lower = *at;
  if (below + 1 == values.size()) return lower;
  const double upper = *std::min_element(at + 1, values.end());
  return lower + (upper - lower) * (position - static_cast<double>(below));
}

}  // namespace

Observer::Observer(int64_t expected, double momentum)
    : expected_(expected), momentum_(momentum), next_kept_(Place(0)) {
  values_.reserve(std::min(expected, kMaxValues));
}

int64_t Observer::Place(int64_t stretch) const {
  if (expected_ <= kMaxValues) return stretch;
  const double length = static_cast<double>(expected_) / static_cast<double>(kMaxValues);
  return static_cast<int64_t>(
      (static_cast<double>(stretch) + UniformAt(0, static_cast<uint64_t>(stretch))) * length);
}

absl::Status Observer::Observe(absl::Span<const float> values) {
  if (values.empty()) return absl::OkStatus();
  float lo = values[0], hi = values[0];
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::OutOfRangeError(absl::StrCat("value ", count_ + static_cast<int64_t>(i), " is ",
                                                values[i], "; calibration needs finite values"));
    }
    lo = std::min(lo, values[i]);
    hi = std::max(hi, values[i]);
  }
  const Range seen = {lo, hi};
  const auto widen = [&seen](bool first, Range* range) {
    *range = first ? seen : Range{std::min(range->lo, seen.lo), std::max(range->hi, seen.hi)};
  };
  widen(count_ == 0, &range_);
  widen(batch_count_ == 0, &batch_);
  const int64_t end = count_ + static_cast<int64_t>(values.size());
  while (next_kept_ < end) {
    values_.push_back(values[static_cast<size_t>(next_kept_ - count_)]);
    next_kept_ = Place(static_cast<int64_t>(values_.size()));
  }
  count_ = end;
  batch_count_ += static_cast<int64_t>(values.size());
  return absl::OkStatus();
}

void Observer::EndBatch() {
  if (batch_count_ == 0) return;
  if (batches_++ == 0) {
    moving_ = batch_;
  } else {
    moving_.lo += momentum_ * (batch_.lo - moving_.lo);
    moving_.hi += momentum_ * (batch_.hi - moving_.hi);
  }
  batch_count_ = 0;
}

double Observer::Percentile(double percent) const { return PercentileOf(values_, percent); }

double Observer::MagnitudePercentile(double percent) const {
  std::vector<float> magnitudes = values_;
  for (float& x : magnitudes) x = std::fabs(x);
  return PercentileOf(std::move(magnitudes), percent);
}

}  // namespace mase
