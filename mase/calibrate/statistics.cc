#include "mase/calibrate/statistics.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/calibrate/statistic_collectors.h"

namespace mase {
namespace {

using Options = StatisticOptions;

constexpr absl::string_view kAbsMean = "abs_mean";

absl::Status CheckOption(absl::string_view statistic, absl::string_view option, double value,
                         double low, double high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(statistic, ": ", option, " ", value, ", allowed ", low, " to ", high));
}

}  // namespace

std::vector<std::string> StatisticNames() {
  std::vector<std::string> names;
  for (const StatisticKind& kind : StatisticKinds()) names.emplace_back(kind.name);
  return names;
}

absl::StatusOr<std::unique_ptr<StatisticCollector>> StatisticCollector::Create(
    absl::string_view name, const StatisticOptions& given) {
  const absl::Span<const StatisticKind> kinds = StatisticKinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const StatisticKind& each) { return each.name == name; });
  if (kind == kinds.end()) {
    return absl::NotFoundError(
        absl::StrCat("no statistic '", name, "'", Suggest(std::string(name), StatisticNames())));
  }
  if (!kind->has_dims && given.dims != Options::Dims::kAll) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is of all values; it has no dims"));
  }
  MASE_RETURN_IF_ERROR(CheckOption(name, "quantile", given.quantile, 0.5, 1));
  MASE_RETURN_IF_ERROR(CheckOption(name, "num_sigma", given.num_sigma, 0, 1e9));
  MASE_RETURN_IF_ERROR(CheckOption(name, "bins", given.bins, 1, 1 << 16));
  Options options = given;
  if (name == kAbsMean) options.abs = true;
  return kind->make(name, options);
}

absl::Status StatisticCollector::Begin(const Shape& sample) {
  sample_ = sample;
  const int rank = sample.rank();
  std::vector<bool> reduced(rank, options_.dims == Options::Dims::kAll);
  for (const int axis : options_.axes) {
    if (axis < -rank || axis >= rank) {
      return absl::InvalidArgumentError(
          absl::StrCat(name_, ": dims has axis ", axis, ", a sample is ", sample.ToString()));
    }
    reduced[axis < 0 ? axis + rank : axis] = true;
  }
  for (int i = 0; i < rank; ++i) {
    if (!reduced[i]) shape_.push_back(sample[i]);
  }
  places_ = shape_.elements();
  if (places_ > 1) {
    // Row-major counting, with the index of the place alongside.
    std::vector<int64_t> stride(rank, 0), index(rank, 0);
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (reduced[i]) continue;
      stride[i] = step;
      step *= sample[i];
    }
    place_of_.reserve(sample.elements());
    for (int64_t n = 0, place = 0; n < sample.elements(); ++n) {
      place_of_.push_back(place);
      for (int i = rank - 1; i >= 0; --i) {
        place += stride[i];
        if (++index[i] < sample[i]) break;
        place -= stride[i] * sample[i];
        index[i] = 0;
      }
    }
  }
  started_ = true;
  Start();
  return absl::OkStatus();
}

absl::Status StatisticCollector::Update(absl::Span<const float> values, const Shape& sample) {
  if (!started_) MASE_RETURN_IF_ERROR(Begin(sample));
  const int64_t size = sample.elements(), total = static_cast<int64_t>(values.size());
  if (sample != sample_ || (size > 0 ? total % size : total) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(name_, ": ", total, " values of samples ",
                                                   sample.ToString(), ", before they were ",
                                                   sample_.ToString()));
  }
  if (size == 0) return absl::OkStatus();
  for (int64_t i = 0; i < total; ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::OutOfRangeError(
        absl::StrCat("value ", values_ + i, " is ", values[i], "; statistics need finite values"));
  }
  samples_ += total / size;
  values_ += total;
  if (places_ == 1) return Add(0, values);
  // All values of a place at once, so that a place sees few pieces.
  std::vector<std::vector<float>> pieces(places_);
  for (int64_t i = 0; i < total; ++i) pieces[place_of_[i % size]].push_back(values[i]);
  for (int64_t place = 0; place < places_; ++place) {
    MASE_RETURN_IF_ERROR(Add(place, pieces[place]));
  }
  return absl::OkStatus();
}

absl::Status StatisticCollector::Merge(const StatisticCollector& other) {
  if (!other.started_) return absl::OkStatus();
  if (!started_) MASE_RETURN_IF_ERROR(Begin(other.sample_));
  if (other.name_ != name_ || other.sample_ != sample_ || other.shape_ != shape_) {
    return absl::InvalidArgumentError(absl::StrCat(name_, " of samples ", sample_.ToString(),
                                                   " and ", other.name_, " of samples ",
                                                   other.sample_.ToString(), " do not merge"));
  }
  samples_ += other.samples_;
  values_ += other.values_;
  return DoMerge(other);
}

void StatisticCollector::Set(Statistic* statistic, absl::string_view key,
                             std::vector<double> numbers) {
  StatisticValue* value = statistic->add_value();
  value->set_key(std::string(key));
  value->mutable_number()->Add(numbers.begin(), numbers.end());
}

Statistic StatisticCollector::Export() const {
  Statistic statistic;
  statistic.set_name(name_);
  DoExport(&statistic);
  return statistic;
}

}  // namespace mase
