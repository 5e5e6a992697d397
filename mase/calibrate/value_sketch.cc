#include "mase/calibrate/value_sketch.h"

#include <algorithm>
#include <cmath>

namespace mase {

void ValueSketch::Add(absl::Span<const float> values) {
  if (values.empty()) return;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  lowest_ = count_ == 0 ? *low : std::min(lowest_, *low);
  highest_ = count_ == 0 ? *high : std::max(highest_, *high);
  count_ += static_cast<int64_t>(values.size());
  if (exact_ && count_ <= exact_limit_) {
    values_.insert(values_.end(), values.begin(), values.end());
    return;
  }
  if (exact_) {
    exact_ = false;
    AddToBuffers(values_);
    std::vector<float>().swap(values_);
  }
  AddToBuffers(values);
}

void ValueSketch::AddToBuffers(absl::Span<const float> values) {
  while (!values.empty()) {
    if (buffers_.empty()) buffers_.emplace_back();
    std::vector<float>& first = buffers_[0].values;
    const size_t room = std::min(values.size(), static_cast<size_t>(kBufferSize) - first.size());
    first.insert(first.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(room));
    values.remove_prefix(room);
    for (size_t level = 0; buffers_[level].values.size() >= kBufferSize; ++level) Compact(level);
  }
}

// Moves half of a buffer's numbers one level up; of an odd number the largest stays.
void ValueSketch::Compact(size_t level) {
  if (level + 1 == buffers_.size()) buffers_.emplace_back();
  Buffer& from = buffers_[level];
  std::sort(from.values.begin(), from.values.end());
  const size_t even = from.values.size() / 2 * 2;
  std::vector<float>& up = buffers_[level + 1].values;
  for (size_t i = from.keep_odd ? 1 : 0; i < even; i += 2) up.push_back(from.values[i]);
  from.keep_odd = !from.keep_odd;
  from.values.erase(from.values.begin(), from.values.begin() + static_cast<std::ptrdiff_t>(even));
}

void ValueSketch::Merge(const ValueSketch& other) {
  if (other.exact_) return Add(other.values_);
  if (exact_) {
    exact_ = false;
    AddToBuffers(values_);
    std::vector<float>().swap(values_);
  }
  lowest_ = count_ == 0 ? other.lowest_ : std::min(lowest_, other.lowest_);
  highest_ = count_ == 0 ? other.highest_ : std::max(highest_, other.highest_);
  count_ += other.count_;
  buffers_.resize(std::max(buffers_.size(), other.buffers_.size()));
  for (size_t level = 0; level < other.buffers_.size(); ++level) {
    const std::vector<float>& values = other.buffers_[level].values;
    buffers_[level].values.insert(buffers_[level].values.end(), values.begin(), values.end());
  }
  for (size_t level = 0; level < buffers_.size(); ++level) {
    if (buffers_[level].values.size() >= kBufferSize) Compact(level);
  }
}

std::vector<ValueSketch::Weighted> ValueSketch::Sorted() const {
  std::vector<Weighted> sorted;
  for (const float x : values_) sorted.emplace_back(x, 1);
  for (size_t level = 0; level < buffers_.size(); ++level) {
    for (const float x : buffers_[level].values) sorted.emplace_back(x, int64_t{1} << level);
  }
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<double> ValueSketch::Quantiles(absl::Span<const double> shares) const {
  const std::vector<Weighted> sorted = Sorted();
  std::vector<int64_t> ends;  // Ranks behind each number.
  for (const auto& [value, weight] : sorted)
    ends.push_back((ends.empty() ? 0 : ends.back()) + weight);
  const auto at = [&](int64_t rank) -> double {
    if (rank <= 0) return lowest_;
    if (rank >= count_ - 1) return highest_;
    return sorted[std::upper_bound(ends.begin(), ends.end(), rank) - ends.begin()].first;
  };
  std::vector<double> quantiles;
  for (const double share : shares) {
    const double position = share * static_cast<double>(count_ - 1);
    const int64_t below = static_cast<int64_t>(std::floor(position));
    const double lower = at(below);
    quantiles.push_back(lower + (at(below + 1) - lower) * (position - static_cast<double>(below)));
  }
  return quantiles;
}

std::vector<int64_t> ValueSketch::Histogram(int bins) const {
  std::vector<int64_t> counts(bins, 0);
  const double low = lowest_, width = (double{highest_} - low) / bins;
  const auto add = [&](float x, int64_t weight) {
    const double bin = width > 0 ? (x - low) / width : 0;
    counts[std::min(bins - 1, static_cast<int>(bin))] += weight;
  };
  for (const float x : values_) add(x, 1);
  for (size_t level = 0; level < buffers_.size(); ++level) {
    for (const float x : buffers_[level].values) add(x, int64_t{1} << level);
  }
  return counts;
}

}  // namespace mase
