#include "mase/calibrate/statistic_collectors.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/calibrate/value_sketch.h"

namespace mase {
namespace {

using Options = StatisticOptions;

constexpr char kMin[] = "min", kMax[] = "max", kRange[] = "range", kMean[] = "mean",
               kVariance[] = "variance";

// A column of numbers by place; none where `known` is false.
template <typename Places, typename Fn>
std::vector<double> Numbers(const Places& places, bool known, const Fn& fn) {
  std::vector<double> numbers;
  if (!known) return numbers;
  for (const auto& place : places) numbers.push_back(fn(place));
  return numbers;
}

// Values of one place, or its magnitudes.
class Magnitudes {
 public:
  absl::Span<const float> operator()(absl::Span<const float> values, bool abs) {
    if (!abs) return values;
    copy_.assign(values.begin(), values.end());
    for (float& x : copy_) x = std::fabs(x);
    return copy_;
  }

 private:
  std::vector<float> copy_;
};

// What all statistics share that keep one `Place` for each place.
template <typename Place>
class PlacesCollector : public StatisticCollector {
 public:
  using StatisticCollector::StatisticCollector;

 protected:
  void Start() override { each_.resize(places()); }
  absl::Status Add(int64_t place, absl::Span<const float> values) override {
    each_[place].Add(magnitudes_(values, options().abs));
    return absl::OkStatus();
  }
  absl::Status DoMerge(const StatisticCollector& other) override {
    const auto& others = static_cast<const PlacesCollector&>(other).each_;
    for (size_t i = 0; i < each_.size(); ++i) each_[i].Merge(others[i]);
    return absl::OkStatus();
  }

  std::vector<Place> each_;

 private:
  Magnitudes magnitudes_;
};

// min, max, their difference and the count. `low` and `high` make a number of a place.
template <typename Places, typename Low, typename High, typename Setter>
void SetRange(const Places& places, bool ends_known, bool range_known, const Low& low,
              const High& high, const Setter& set) {
  set(kMin, Numbers(places, ends_known, low));
  set(kMax, Numbers(places, ends_known, high));
  set(kRange, Numbers(places, range_known, [&](const auto& p) { return high(p) - low(p); }));
}

struct Moments {
  int64_t count = 0;
  double mean = 0;
  double m2 = 0;  // Sum of squared distances from the mean.

  void Add(absl::Span<const float> values) {
    Moments piece;
    piece.count = static_cast<int64_t>(values.size());
    if (piece.count == 0) return;
    for (const float x : values) piece.mean += x;
    piece.mean /= static_cast<double>(piece.count);
    for (const float x : values) piece.m2 += (x - piece.mean) * (x - piece.mean);
    Merge(piece);
  }
  void Merge(const Moments& other) {
    if (other.count == 0) return;
    const double n = static_cast<double>(count), added = static_cast<double>(other.count);
    const double distance = other.mean - mean;
    mean += distance * added / (n + added);
    m2 += other.m2 + distance * distance * n * added / (n + added);
    count += other.count;
  }
  double Variance(bool unbiased) const {
    return m2 / static_cast<double>(unbiased ? count - 1 : count);
  }
};

class VarianceCollector final : public PlacesCollector<Moments> {
 public:
  VarianceCollector(absl::string_view name, const Options& options, bool unbiased)
      : PlacesCollector(name, options), unbiased_(unbiased) {}

 private:
  void DoExport(Statistic* statistic) const override {
    const bool known = count() >= 2;
    Set(statistic, kMean, Numbers(each_, known, [](const Moments& m) { return m.mean; }));
    Set(statistic, kVariance,
        Numbers(each_, known, [this](const Moments& m) { return m.Variance(unbiased_); }));
    SetCount(statistic);
  }

  const bool unbiased_;
};

class NSigmaCollector final : public PlacesCollector<Moments> {
 public:
  using PlacesCollector::PlacesCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    const auto reach = [this](const Moments& m) {
      return options().num_sigma * std::sqrt(m.Variance(options().unbiased_variance));
    };
    const bool known = count() >= 2;
    SetRange(
        each_, known, known, [&](const Moments& m) { return m.mean - reach(m); },
        [&](const Moments& m) { return m.mean + reach(m); },
        [&](const char* key, std::vector<double> numbers) {
          Set(statistic, key, std::move(numbers));
        });
    SetCount(statistic);
  }
};

struct Extremes {
  bool empty = true;
  float min = 0, max = 0;

  void Add(absl::Span<const float> values) {
    if (values.empty()) return;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    Merge({false, *low, *high});
  }
  void Merge(const Extremes& other) {
    if (other.empty) return;
    min = empty ? other.min : std::min(min, other.min);
    max = empty ? other.max : std::max(max, other.max);
    empty = false;
  }
};

class MinMaxCollector final : public PlacesCollector<Extremes> {
 public:
  using PlacesCollector::PlacesCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    SetRange(
        each_, count() >= 1, count() >= 2, [](const Extremes& e) { return double{e.min}; },
        [](const Extremes& e) { return double{e.max}; },
        [&](const char* key, std::vector<double> numbers) {
          Set(statistic, key, std::move(numbers));
        });
    SetCount(statistic);
  }
};

struct Sum {
  double sum = 0;

  void Add(absl::Span<const float> values) {
    double piece = 0;  // So that one large sum does not swallow many small values.
    for (const float x : values) piece += x;
    sum += piece;
  }
  void Merge(const Sum& other) { sum += other.sum; }
};

class AbsMeanCollector final : public PlacesCollector<Sum> {
 public:
  using PlacesCollector::PlacesCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    Set(statistic, "abs_mean", Numbers(each_, count() >= 2, [this](const Sum& s) {
          return s.sum / static_cast<double>(count());
        }));
    SetCount(statistic);
  }
};

// Statistics that keep values.
class SketchCollector : public StatisticCollector {
 public:
  using StatisticCollector::StatisticCollector;

  bool exact() const override {
    return std::all_of(each_.begin(), each_.end(),
                       [](const ValueSketch& sketch) { return sketch.exact(); });
  }

 protected:
  void Start() override {
    const int64_t limit = ValueSketch::kExactLimit / std::max<int64_t>(places(), 1);
    each_.assign(places(), ValueSketch(limit));
  }
  absl::Status Add(int64_t place, absl::Span<const float> values) override {
    MASE_RETURN_IF_ERROR(CheckRoom());
    each_[place].Add(magnitudes_(values, options().abs));
    return absl::OkStatus();
  }
  absl::Status DoMerge(const StatisticCollector& other) override {
    const auto& others = static_cast<const SketchCollector&>(other).each_;
    for (size_t i = 0; i < each_.size(); ++i) each_[i].Merge(others[i]);
    return CheckRoom();
  }

  std::vector<ValueSketch> each_;

 private:
  absl::Status CheckRoom() const {
    if (places() <= kMaxSketches || values() <= ValueSketch::kExactLimit) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", ValueSketch::kExactLimit, " values at ", places(),
                     " places of a sample; take fewer samples, or dims that leave at most ",
                     kMaxSketches, " places"));
  }

  Magnitudes magnitudes_;
};

class QuantileCollector final : public SketchCollector {
 public:
  using SketchCollector::SketchCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    const bool known = count() >= 2;
    std::vector<std::pair<double, double>> ends;
    for (const ValueSketch& sketch : each_) {
      if (!known) break;
      const std::vector<double> both =
          sketch.Quantiles({1 - options().quantile, options().quantile});
      ends.emplace_back(both[0], both[1]);
    }
    SetRange(
        ends, known, known, [](const auto& e) { return e.first; },
        [](const auto& e) { return e.second; },
        [&](const char* key, std::vector<double> numbers) {
          Set(statistic, key, std::move(numbers));
        });
    SetCount(statistic);
  }
};

class RecordCollector final : public SketchCollector {
 public:
  using SketchCollector::SketchCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    std::vector<double> data;
    if (!each_.empty() && exact()) {
      data.assign(each_[0].values().begin(), each_[0].values().end());
    } else if (!each_.empty()) {
      std::vector<double> shares;
      for (int i = 0; i < kSketchedRecord; ++i) shares.push_back(i / (kSketchedRecord - 1.0));
      data = each_[0].Quantiles(shares);
    }
    Set(statistic, "data", std::move(data));
    Set(statistic, "count", {static_cast<double>(samples())});
    Set(statistic, "size_in_bytes", {4.0 * static_cast<double>(values())});
  }
};

class HistogramCollector final : public SketchCollector {
 public:
  using SketchCollector::SketchCollector;

 private:
  void DoExport(Statistic* statistic) const override {
    std::vector<double> edges, counts;
    if (count() > 0) {
      const std::vector<double> ends = each_[0].Quantiles({0.0, 1.0});
      for (int i = 0; i <= options().bins; ++i) {
        edges.push_back(ends[0] + (ends[1] - ends[0]) * i / options().bins);
      }
      const std::vector<int64_t> bins = each_[0].Histogram(options().bins);
      counts.assign(bins.begin(), bins.end());
    }
    Set(statistic, "edges", std::move(edges));
    Set(statistic, "counts", std::move(counts));
    SetCount(statistic);
  }
};

template <typename Collector>
std::unique_ptr<StatisticCollector> Make(absl::string_view name, const Options& options) {
  return std::make_unique<Collector>(name, options);
}

template <bool kUnbiased>
std::unique_ptr<StatisticCollector> MakeVariance(absl::string_view name, const Options& options) {
  return std::make_unique<VarianceCollector>(name, options, kUnbiased);
}

constexpr StatisticKind kKinds[] = {
    {"record", false, Make<RecordCollector>},
    {"variance_online", true, MakeVariance<false>},
    {"variance_precise", true, MakeVariance<true>},
    {"range_n_sigma", true, Make<NSigmaCollector>},
    {"range_min_max", true, Make<MinMaxCollector>},
    {"range_quantile", true, Make<QuantileCollector>},
    {"abs_mean", true, Make<AbsMeanCollector>},
    {"histogram", false, Make<HistogramCollector>},
};

}  // namespace

absl::Span<const StatisticKind> StatisticKinds() { return kKinds; }

}  // namespace mase
