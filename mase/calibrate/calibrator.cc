#include "mase/calibrate/calibrator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "mase/base/isa.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"

namespace mase {
namespace {

constexpr int64_t kChunk = 2048;
constexpr int kBins = 2048;
constexpr int kHalvings = 40;  // Of the range where scales are powers of two.
// Where they are not, the range shrinks by 2^(1/8) eight octaves down, an end by itself only two.
// With few values the loss is jagged, and cheap: then these two are walked in finer steps.
constexpr int kOctaves = 8;
constexpr int kSteps = 8;
constexpr int kFineOctaves = 2;
constexpr int kFineSteps = 64;
constexpr size_t kFewValues = 1 << 17;
constexpr int kLastSteps = 16;  // In which the last search divides the steps of the first.

// The format for one range after another.
class Candidate {
 public:
  virtual ~Candidate() = default;
  virtual absl::Status Fit(Range range) = 0;
  // The smallest and the largest value of the fitted format.
  virtual Range ends() const = 0;
  virtual absl::Status Quantize(const float* src, float* dst, int64_t count) const = 0;
  // inside[i] is 0 where src[i] saturates, else 1.
  virtual absl::Status FindInside(const float* src, float* inside, int64_t count) const = 0;
};

class FormatCandidate final : public Candidate {
 public:
  FormatCandidate(const FormatProto& given, const FitOptions& options)
      : given_(given), options_(options) {}

  absl::Status Fit(Range range) override {
    MASE_ASSIGN_OR_RETURN(const FormatProto fitted, FitToRange(given_, range, options_));
    MASE_ASSIGN_OR_RETURN(format_, Format::Create(fitted));
    return absl::OkStatus();
  }
  Range ends() const override { return {format_->lowest(), format_->highest()}; }
  absl::Status Quantize(const float* src, float* dst, int64_t count) const override {
    return format_->Quantize(src, dst, {count});
  }
  absl::Status FindInside(const float* src, float* inside, int64_t count) const override {
    std::vector<uint8_t> saturated(count);
    MASE_RETURN_IF_ERROR(format_->FindSaturated(src, saturated.data(), {count}));
    for (int64_t i = 0; i < count; ++i) inside[i] = saturated[i] != 0 ? 0.0f : 1.0f;
    return absl::OkStatus();
  }

 private:
  const FormatProto given_;
  const FitOptions options_;
  std::unique_ptr<const Format> format_;
};

// Without a Format for each try, of which blocks of a weight make millions.
class AffineCandidate final : public Candidate {
 public:
  AffineCandidate(const FormatProto& given, const FitOptions& options)
      : given_(given), options_(options) {}

  absl::Status Fit(Range range) override {
    const AffineFit fit = FitAffine(given_, range, options_);
    scale_ = fit.scale;
    lo_ = fit.lo - fit.zero_point;
    hi_ = fit.hi - fit.zero_point;
    return absl::OkStatus();
  }
  Range ends() const override { return {lo_ * scale_, hi_ * scale_}; }
  absl::Status Quantize(const float* src, float* dst, int64_t count) const override {
    ForBestIsa([=, scale = scale_, inverse = 1 / scale_, lo = lo_, hi = hi_] {
      for (int64_t i = 0; i < count; ++i) {
        const double steps = std::nearbyint(src[i] * inverse);
        dst[i] = static_cast<float>((steps < lo ? lo : steps > hi ? hi : steps) * scale);
      }
    });
    return absl::OkStatus();
  }
  absl::Status FindInside(const float* src, float* inside, int64_t count) const override {
    for (int64_t i = 0; i < count; ++i) {
      const double steps = std::nearbyint(src[i] / scale_);
      inside[i] = steps < lo_ || steps > hi_ ? 0.0f : 1.0f;
    }
    return absl::OkStatus();
  }

 private:
  const FormatProto given_;
  const FitOptions options_;
  double scale_ = 1, lo_ = 0, hi_ = 0;
};

bool BecomesAffine(const FormatProto& format, const FitOptions& fit) {
  return IsFixedPoint(format) && (fit.affine || fit.float_scale || !fit.symmetric);
}

std::unique_ptr<Candidate> MakeCandidate(const FormatProto& format, const FitOptions& fit) {
  // What cannot become affine (REFERENCE semantics) fails in FitToRange, with its message.
  if (BecomesAffine(format, fit)) return std::make_unique<AffineCandidate>(format, fit);
  return std::make_unique<FormatCandidate>(format, fit);
}

// The sum in an order that no instruction set changes.
double SumOfSquares(const float* x, const float* y, int64_t count) {
  double sum = 0;
  ForBestIsa([&sum, x, y, count] {
    double lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int lane = 0; lane < 8; ++lane) {
        const double difference = double{x[i + lane]} - double{y[i + lane]};
        lanes[lane] += difference * difference;
      }
    }
    for (; i < count; ++i) lanes[i % 8] += (double{x[i]} - y[i]) * (double{x[i]} - y[i]);
    for (double lane : lanes) sum += lane;
  });
  return sum;
}

absl::StatusOr<double> SquaredError(const Candidate& candidate, absl::Span<const float> values) {
  std::array<float, kChunk> quantized;
  double sum = 0;
  const int64_t total = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < total; begin += kChunk) {
    const int64_t count = std::min(kChunk, total - begin);
    const float* chunk = values.data() + begin;
    MASE_RETURN_IF_ERROR(candidate.Quantize(chunk, quantized.data(), count));
    sum += SumOfSquares(chunk, quantized.data(), count);
  }
  return sum;
}

// Equal bins from the smallest to the largest value.
struct Histogram {
  std::vector<double> counts;
  std::vector<float> centres;
};

Histogram MakeHistogram(absl::Span<const float> values, Range range) {
  Histogram histogram = {std::vector<double>(kBins), std::vector<float>(kBins)};
  const double width = (range.hi - range.lo) / kBins;
  for (int i = 0; i < kBins; ++i) {
    histogram.centres[i] = static_cast<float>(range.lo + (i + 0.5) * width);
  }
  for (float x : values) {
    const int bin = width > 0 ? static_cast<int>((x - range.lo) / width) : 0;
    ++histogram.counts[std::clamp(bin, 0, kBins - 1)];
  }
  return histogram;
}

// The divergence of calibrator.h for bins whose centres become `codes`; `inside` as of
// Candidate::FindInside.
double Divergence(const std::vector<double>& counts, const std::vector<float>& codes,
                  const std::vector<float>& inside) {
  const auto is_inside = [](float x) { return x != 0; };
  const int first =
      static_cast<int>(std::find_if(inside.begin(), inside.end(), is_inside) - inside.begin());
  if (first == kBins) return std::numeric_limits<double>::infinity();
  const int last =
      kBins - 1 -
      static_cast<int>(std::find_if(inside.rbegin(), inside.rend(), is_inside) - inside.rbegin());
  std::vector<double> p(counts.begin() + first, counts.begin() + last + 1), q(p.size());
  const double own = std::accumulate(p.begin(), p.end(), 0.0);
  p.front() += std::accumulate(counts.begin(), counts.begin() + first, 0.0);
  p.back() += std::accumulate(counts.begin() + last + 1, counts.end(), 0.0);
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  double divergence = 0;
  size_t codes_inside = 0;
  for (size_t begin = 0, end; begin < p.size(); begin = end) {
    ++codes_inside;
    double mass = 0;
    int bins = 0;
    for (end = begin; end < p.size() && codes[first + end] == codes[first + begin]; ++end) {
      mass += counts[first + end];
      bins += p[end] > 0;
    }
    for (size_t i = begin; i < end; ++i) {
      if (p[i] == 0) continue;
      const double share = own > 0 ? mass / bins / own : 0;
      divergence += p[i] / total * std::log(p[i] / total / std::max(share, 1e-9));
    }
  }
  const bool finer_than_bins = p.size() < kBins && codes_inside == p.size();
  return finer_than_bins ? std::numeric_limits<double>::infinity() : divergence;
}

absl::StatusOr<double> EntropyLoss(const Candidate& candidate, const Histogram& histogram) {
  std::vector<float> codes(kBins), inside(kBins);
  MASE_RETURN_IF_ERROR(candidate.Quantize(histogram.centres.data(), codes.data(), kBins));
  MASE_RETURN_IF_ERROR(candidate.FindInside(histogram.centres.data(), inside.data(), kBins));
  return Divergence(histogram.counts, codes, inside);
}

// Tries ranges and keeps the first of the best.
class Search {
 public:
  using Loss = std::function<absl::StatusOr<double>(const Candidate&)>;

  Search(Candidate& candidate, Loss loss) : candidate_(candidate), loss_(std::move(loss)) {}

  Range best() const { return best_; }
  double best_loss() const { return best_loss_; }

  // Whether it is the best so far.
  absl::StatusOr<bool> Try(Range range) {
    MASE_RETURN_IF_ERROR(candidate_.Fit(range));
    MASE_ASSIGN_OR_RETURN(const double loss, loss_(candidate_));
    if (loss >= best_loss_ && tried_) return false;
    tried_ = true;
    best_loss_ = loss;
    best_ = range;
    return true;
  }

  // Range, half of it, ... If the loss is a sum of squares over values from `lo` to `hi`, the
  // search ends once one of these alone costs more than the best.
  absl::Status Halve(Range range, bool is_error, double lo, double hi) {
    for (int i = 0; i <= kHalvings; ++i) {
      MASE_RETURN_IF_ERROR(Try(Scaled(range, std::ldexp(1, -i), std::ldexp(1, -i))).status());
      const Range ends = candidate_.ends();
      const double cut = std::max({hi - ends.hi, ends.lo - lo, 0.0});
      if (is_error && cut * cut > best_loss_) break;
    }
    return absl::OkStatus();
  }

  // Moves the ends that `lo` and `hi` name: first by large steps, `steps` an octave, mostly
  // inwards, then both ways by small ones.
  absl::Status Shrink(bool lo, bool hi, int steps) {
    const int octaves = lo && hi ? kOctaves : kFineOctaves;
    const Range start = best_;
    const auto moved = [lo, hi](Range range, double factor) {
      return Scaled(range, lo ? factor : 1, hi ? factor : 1);
    };
    for (int i = -steps / kSteps; i <= kFineOctaves * steps; ++i) {
      MASE_RETURN_IF_ERROR(Try(moved(start, std::exp2(-1.0 * i / steps))).status());
    }
    for (int i = kFineOctaves * kSteps + 1; i <= octaves * kSteps; ++i) {
      MASE_RETURN_IF_ERROR(Try(moved(start, std::exp2(-1.0 * i / kSteps))).status());
    }
    const Range middle = best_;
    for (int i = 1 - kLastSteps; i < kLastSteps; ++i) {
      const double factor = std::exp2(1.0 * i / (kLastSteps * steps));
      MASE_RETURN_IF_ERROR(Try(moved(middle, factor)).status());
    }
    return absl::OkStatus();
  }

 private:
  static Range Scaled(Range range, double lo, double hi) { return {range.lo * lo, range.hi * hi}; }

  Candidate& candidate_;
  const Loss loss_;
  bool tried_ = false;
  Range best_;
  double best_loss_ = std::numeric_limits<double>::infinity();
};

bool HasFloatScale(const FormatProto& format, const FitOptions& fit) {
  return format.has_lsq() || (IsFixedPoint(format) && fit.float_scale);
}

absl::StatusOr<Range> FindRange(const FormatProto& format, const Observer& seen,
                                CalibrationMethod method, const CalibratorOptions& options) {
  const bool zero_point = IsFixedPoint(format) && !options.fit.symmetric;
  Range full = seen.range();
  if (zero_point) full = {std::min(full.lo, 0.0), std::max(full.hi, 0.0)};
  const bool is_error = method == CalibrationMethod::kMse;
  Histogram histogram;
  if (!is_error) histogram = MakeHistogram(seen.values(), seen.range());
  const std::unique_ptr<Candidate> candidate = MakeCandidate(format, options.fit);
  Search search(*candidate, [&](const Candidate& fitted) {
    return is_error ? SquaredError(fitted, seen.values()) : EntropyLoss(fitted, histogram);
  });
  if (!HasFloatScale(format, options.fit)) {
    // Of the kept values, which a sample's range is not.
    const auto [lo, hi] = std::minmax_element(seen.values().begin(), seen.values().end());
    MASE_RETURN_IF_ERROR(search.Halve(full, is_error, *lo, *hi));
    return search.best();
  }
  MASE_RETURN_IF_ERROR(search.Try(full).status());
  const int steps = seen.values().size() <= kFewValues ? kFineSteps : kSteps;
  MASE_RETURN_IF_ERROR(search.Shrink(true, true, steps));
  for (int round = 0; zero_point && round < 2; ++round) {
    MASE_RETURN_IF_ERROR(search.Shrink(true, false, steps));
    MASE_RETURN_IF_ERROR(search.Shrink(false, true, steps));
  }
  return search.best();
}

Range PercentileRange(const Observer& seen, double percentile, bool symmetric) {
  if (symmetric) {
    // Unsigned codes lack the lower half; of those the fit reads the upper end alone.
    const double end = seen.MagnitudePercentile(percentile);
    return {seen.range().lo < 0 ? -end : 0, seen.range().hi > 0 ? end : 0};
  }
  return {seen.Percentile((100 - percentile) / 2), seen.Percentile((100 + percentile) / 2)};
}

}  // namespace

absl::Span<const CalibrationMethod> AllCalibrationMethods() {
  static constexpr CalibrationMethod kAll[] = {
      CalibrationMethod::kMinMax, CalibrationMethod::kMovingAverage, CalibrationMethod::kPercentile,
      CalibrationMethod::kMse, CalibrationMethod::kEntropy};
  return kAll;
}

absl::string_view CalibrationMethodName(CalibrationMethod method) {
  switch (method) {
    case CalibrationMethod::kMinMax:
      return "minmax";
    case CalibrationMethod::kMovingAverage:
      return "moving_average";
    case CalibrationMethod::kPercentile:
      return "percentile";
    case CalibrationMethod::kMse:
      return "mse";
    case CalibrationMethod::kEntropy:
      return "entropy";
  }
  return "";
}

absl::StatusOr<FormatProto> Calibrate(const FormatProto& format, const Observer& seen,
                                      CalibrationMethod method, const CalibratorOptions& options) {
  Range range = seen.range();
  switch (method) {
    case CalibrationMethod::kMinMax:
      break;
    case CalibrationMethod::kMovingAverage:
      range = seen.moving_range();
      break;
    case CalibrationMethod::kPercentile:
      range =
          PercentileRange(seen, options.percentile, !IsFixedPoint(format) || options.fit.symmetric);
      break;
    case CalibrationMethod::kMse:
    case CalibrationMethod::kEntropy: {
      MASE_ASSIGN_OR_RETURN(range, FindRange(format, seen, method, options));
      break;
    }
  }
  // A percentile or the average of ranges may be {0, 0} where not all values are.
  if (range.lo == 0 && range.hi == 0) range = seen.range();
  return FitToRange(format, range, options.fit);
}

}  // namespace mase
