#include "mase/sampler/parzen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/algorithm/container.h"

namespace mase {
namespace {

constexpr double kLogSqrtTwoPi = 0.91893853320467274178;
constexpr size_t kFullWeight = 25;  // Trials whose weight age does not lessen.

// Of the standard normal distribution between a <= b. Differences are taken in the tail that keeps
// their digits.
double NormalMass(double a, double b) {
  if (a > 0) return 0.5 * (std::erfc(a * M_SQRT1_2) - std::erfc(b * M_SQRT1_2));
  if (b < 0) return 0.5 * (std::erfc(-b * M_SQRT1_2) - std::erfc(-a * M_SQRT1_2));
  return 0.5 * (std::erf(b * M_SQRT1_2) - std::erf(a * M_SQRT1_2));
}

double Log(double mass) { return std::log(std::max(mass, 1e-300)); }

bool IsDiscrete(const SearchParameter& p) { return p.size().has_value(); }

double Scaled(const SearchParameter& p, double value) { return p.log ? std::log(value) : value; }

// Half of what a value stands for beside itself.
double HalfStep(const SearchParameter& p) { return IsDiscrete(p) ? p.step / 2 : 0; }

// Adds `hit` where a choice is `own` and else `miss`. Most of what TPE spends is spent here and in
// CountMatches: eight at a time have no branch that a processor would guess, and compilers make
// them a few instructions.
void AddMatches(const int32_t* __restrict choices, int32_t own, double hit, double miss,
                double* __restrict logs, size_t count) {
  size_t k = 0;
  for (; k + 8 <= count; k += 8) {
    for (size_t i = k; i < k + 8; ++i) logs[i] += choices[i] == own ? hit : miss;
  }
  for (; k < count; ++k) logs[k] += choices[k] == own ? hit : miss;
}

void CountMatches(const int32_t* __restrict choices, int32_t own, int32_t* __restrict counts,
                  size_t count) {
  size_t k = 0;
  for (; k + 8 <= count; k += 8) {
    for (size_t i = k; i < k + 8; ++i) counts[i] += choices[i] == own ? 1 : 0;
  }
  for (; k < count; ++k) counts[k] += choices[k] == own ? 1 : 0;
}

// Up to this logarithm products are counted out: doubles hold them, their weights and their sum.
constexpr double kMostLog = 600;

}  // namespace

std::vector<double> RecencyWeights(size_t count) {
  std::vector<double> weights(count, 1.0);
  if (count <= kFullWeight) return weights;
  const size_t ramp = count - kFullWeight;
  const double least = 1.0 / static_cast<double>(count);
  for (size_t i = 0; i < ramp; ++i) {
    const double share = ramp == 1 ? 0 : static_cast<double>(i) / static_cast<double>(ramp - 1);
    weights[i] = least + (1 - least) * share;
  }
  return weights;
}

Parzen::Parzen(const ParameterSpace& space, absl::Span<const int> group,
               absl::Span<const double> observations, std::vector<double> weights,
               double prior_weight)
    : weights_(std::move(weights)) {
  const size_t observed = weights_.size(), dimensions = group.size();
  weights_.push_back(prior_weight);
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  for (double& weight : weights_) weight /= sum;
  for (size_t column = 0; column < dimensions; ++column) {
    const SearchParameter& p = space[group[column]];
    Axis axis = {.parameter = &p, .categorical = p.kind == SearchParameter::Kind::kCategorical};
    if (axis.categorical) {
      // A count of prior_weight / kernels for each choice, and one more for the observed one.
      const auto count = static_cast<double>(p.choices.size());
      const double base = prior_weight / static_cast<double>(observed + 1);
      const double total = base * count + 1;
      axis.log_hit = std::log((base + 1) / total);
      axis.log_miss = std::log(base / total);
      axis.log_even = -std::log(count);
      axis.choice.resize(observed + 1, -1);
      for (size_t k = 0; k < observed; ++k) {
        axis.choice[k] = static_cast<int32_t>(observations[k * dimensions + column]);
      }
    } else {
      axis.mu.resize(observed + 1);
      for (size_t k = 0; k < observed; ++k) {
        axis.mu[k] = Scaled(p, observations[k * dimensions + column]);
      }
      FitNumbers(axis, dimensions);
    }
    axes_.push_back(std::move(axis));
  }
  if (dimensions == 1) Collapse();
  for (Axis& axis : axes_) Normalize(axis);
  cumulative_.resize(weights_.size());
  std::partial_sum(weights_.begin(), weights_.end(), cumulative_.begin());
  if (!probabilities_.empty()) return;
  double range = 0;
  for (const Axis& axis : axes_) {
    range +=
        axis.categorical ? axis.log_hit - axis.log_miss : std::numeric_limits<double>::infinity();
  }
  counts_out_ = range < kMostLog;
  if (counts_out_) return;
  for (double weight : weights_) log_weights_.push_back(std::log(weight));
}

void Parzen::FitNumbers(Axis& axis, size_t dimensions) {
  const SearchParameter& p = *axis.parameter;
  const double half = HalfStep(p);
  axis.low = Scaled(p, p.low - half);
  axis.high = Scaled(p, p.high + half);
  const double range = axis.high > axis.low ? axis.high - axis.low : 1;
  axis.mu.back() = (axis.low + axis.high) / 2;
  const size_t kernels = axis.mu.size(), observed = kernels - 1;
  axis.sigma.assign(kernels, range);
  if (dimensions > 1) {
    const double scott = std::pow(static_cast<double>(std::max<size_t>(observed, 1)),
                                  -1.0 / (static_cast<double>(dimensions) + 4));
    std::fill_n(axis.sigma.begin(), observed, 0.2 * scott * range);
  } else {
    std::vector<size_t> order(kernels);
    std::iota(order.begin(), order.end(), size_t{0});
    absl::c_stable_sort(order, [&](size_t a, size_t b) { return axis.mu[a] < axis.mu[b]; });
    for (size_t at = 0; at < kernels; ++at) {
      const double here = axis.mu[order[at]];
      const double left = here - (at > 0 ? axis.mu[order[at - 1]] : axis.low);
      const double right = (at + 1 < kernels ? axis.mu[order[at + 1]] : axis.high) - here;
      // The limits are no neighbours where there are others.
      double widest = std::max(left, right);
      if (kernels >= 2 && at == 0) widest = right;
      if (kernels >= 2 && at + 1 == kernels) widest = left;
      if (order[at] < observed) axis.sigma[order[at]] = widest;
    }
  }
  const double least = range / std::min(100.0, 1.0 + static_cast<double>(kernels));
  for (size_t k = 0; k < observed; ++k) axis.sigma[k] = std::clamp(axis.sigma[k], least, range);
}

// One parameter: kernels that are the same become one.
void Parzen::Collapse() {
  Axis& axis = axes_[0];
  if (axis.categorical) {
    const size_t count = axis.parameter->choices.size();
    const double prior = weights_.back(), observed = 1 - prior;
    const double hit = std::exp(axis.log_hit), miss = std::exp(axis.log_miss);
    probabilities_.assign(count, prior / static_cast<double>(count) + observed * miss);
    for (size_t k = 0; k + 1 < weights_.size(); ++k) {
      probabilities_[axis.choice[k]] += weights_[k] * (hit - miss);
    }
    weights_ = probabilities_;
    return;
  }
  std::vector<size_t> order(weights_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  absl::c_stable_sort(order, [&](size_t a, size_t b) {
    return std::make_pair(axis.mu[a], axis.sigma[a]) < std::make_pair(axis.mu[b], axis.sigma[b]);
  });
  std::vector<double> mu, sigma, weights;
  for (size_t k : order) {
    if (!mu.empty() && mu.back() == axis.mu[k] && sigma.back() == axis.sigma[k]) {
      weights.back() += weights_[k];
      continue;
    }
    mu.push_back(axis.mu[k]);
    sigma.push_back(axis.sigma[k]);
    weights.push_back(weights_[k]);
  }
  axis.mu = std::move(mu);
  axis.sigma = std::move(sigma);
  weights_ = std::move(weights);
}

void Parzen::Normalize(Axis& axis) {
  for (size_t k = 0; k < axis.mu.size(); ++k) {
    const double mu = axis.mu[k], sigma = axis.sigma[k];
    axis.log_scale.push_back(Log(NormalMass((axis.low - mu) / sigma, (axis.high - mu) / sigma)));
    if (!IsDiscrete(*axis.parameter)) axis.log_scale.back() += std::log(sigma) + kLogSqrtTwoPi;
  }
}

void Parzen::Sample(Draws& draws, absl::Span<double> values) const {
  const double unit = draws.Unit() * cumulative_.back();
  const size_t kernel = std::min<size_t>(
      absl::c_upper_bound(cumulative_, unit) - cumulative_.begin(), cumulative_.size() - 1);
  if (!probabilities_.empty()) {
    values[0] = static_cast<double>(kernel);
    return;
  }
  for (size_t column = 0; column < axes_.size(); ++column) {
    const Axis& axis = axes_[column];
    const SearchParameter& p = *axis.parameter;
    if (axis.categorical) {
      const bool own = axis.choice[kernel] >= 0 &&
                       draws.Unit() < std::exp(axis.log_hit) - std::exp(axis.log_miss);
      values[column] =
          own ? axis.choice[kernel] : static_cast<double>(draws.Index(p.choices.size()));
      continue;
    }
    // The mean lies between the limits and the deviation is at most their distance: one draw in
    // three is between them at least.
    double number;
    do {
      number = axis.mu[kernel] + axis.sigma[kernel] * draws.Normal();
    } while (number < axis.low || number > axis.high);
    values[column] = p.Nearest(p.log ? std::exp(number) : number);
  }
}

void Parzen::AddLogs(const Axis& axis, double value, std::vector<double>& logs) {
  const size_t kernels = logs.size();
  if (axis.categorical) {
    const auto own = static_cast<int32_t>(value);
    AddMatches(axis.choice.data(), own, axis.log_hit, axis.log_miss, logs.data(), kernels - 1);
    logs.back() += axis.log_even;
    return;
  }
  const SearchParameter& p = *axis.parameter;
  const double half = HalfStep(p);
  const double low = Scaled(p, value - half), high = Scaled(p, value + half);
  for (size_t k = 0; k < kernels; ++k) {
    const double mu = axis.mu[k], sigma = axis.sigma[k];
    if (half > 0) {
      logs[k] += Log(NormalMass((low - mu) / sigma, (high - mu) / sigma)) - axis.log_scale[k];
    } else {
      const double z = (low - mu) / sigma;
      logs[k] -= 0.5 * z * z + axis.log_scale[k];
    }
  }
}

// A kernel gives to a point what it gives where no choice is its own, times a factor, the same for
// every parameter, for each choice that is.
double Parzen::LogOfCounts(absl::Span<const double> values) const {
  const size_t observed = weights_.size() - 1;
  std::vector<int32_t> matches(observed, 0);
  double log_none = 0, log_prior = 0;
  for (size_t column = 0; column < axes_.size(); ++column) {
    const Axis& axis = axes_[column];
    log_none += axis.log_miss;
    log_prior += axis.log_even;
    CountMatches(axis.choice.data(), static_cast<int32_t>(values[column]), matches.data(),
                 observed);
  }
  const double factor = std::exp(axes_[0].log_hit - axes_[0].log_miss);
  std::vector<double> product = {1.0};  // By the number of matches.
  while (product.size() <= axes_.size()) product.push_back(product.back() * factor);
  double even = 0, odd = 0;  // Two sums wait for each other half as long as one.
  for (size_t k = 0; k + 2 <= observed; k += 2) {
    even += weights_[k] * product[matches[k]];
    odd += weights_[k + 1] * product[matches[k + 1]];
  }
  if (observed % 2 == 1) even += weights_[observed - 1] * product[matches[observed - 1]];
  return log_none + std::log(even + odd + weights_.back() * std::exp(log_prior - log_none));
}

double Parzen::LogDensity(absl::Span<const double> values, double enough) const {
  if (!probabilities_.empty()) return std::log(probabilities_[static_cast<size_t>(values[0])]);
  if (counts_out_) return LogOfCounts(values);
  std::vector<double> logs = log_weights_;
  for (size_t column = 0; column < axes_.size(); ++column) {
    AddLogs(axes_[column], values[column], logs);
  }
  // What is less than e^-36 of the most does not change a double.
  const double most = *absl::c_max_element(logs);
  if (most >= enough) return most;  // One kernel alone makes it so.
  double sum = 0;
  for (double log : logs) sum += log > most - 36 ? std::exp(log - most) : 0;
  return most + std::log(sum);
}

}  // namespace mase
