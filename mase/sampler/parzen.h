// Parzen estimators over parameters: densities made of one kernel a trial, as TPE has them
// (Bergstra and others: Algorithms for hyper-parameter optimization, 2011), with the bandwidths and
// weights of Optuna.
#ifndef MASE_SAMPLER_PARZEN_H_
#define MASE_SAMPLER_PARZEN_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "mase/sampler/draws.h"
#include "mase/sampler/parameter.h"

namespace mase {

// A weight for each of `count` trials, oldest first: the newest 25 have 1, those before them less
// and less, down to 1 / count.
std::vector<double> RecencyWeights(size_t count);

// A density over a group of parameters: a mixture with a kernel for each observation and one, the
// prior, for the whole space. Kernels of numbers are normal distributions cut off at the limits, of
// whole numbers and steps their mass around each value; kernels of choices are nearly one-hot.
class Parzen {
 public:
  // `observations` holds for each trial a value for each of `group` (indices into `space`, which
  // must outlive this), one trial after another: all active. `weights` has an entry for each trial.
  //
  // One parameter: bandwidths are distances to neighbours. Several: a bandwidth by Scott's rule.
  Parzen(const ParameterSpace& space, absl::Span<const int> group,
         absl::Span<const double> observations, std::vector<double> weights, double prior_weight);

  // A value for each parameter of the group.
  void Sample(Draws& draws, absl::Span<double> values) const;

  // The logarithm of the density. Where that is `enough` or more, the answer may be any number
  // from `enough` up to it: less work for who only asks whether it is less.
  double LogDensity(absl::Span<const double> values,
                    double enough = std::numeric_limits<double>::infinity()) const;

 private:
  // One parameter's part of all kernels.
  struct Axis {
    const SearchParameter* parameter;
    bool categorical;
    // Numbers, in their logarithms where the parameter is logarithmic.
    double low = 0, high = 0;
    std::vector<double> mu, sigma;
    std::vector<double> log_scale;  // What makes a kernel's mass between the limits 1.
    // Choices: of each kernel the choice, -1 the prior's; logarithms of what the kernel gives to
    // its own choice, to others, and the prior to each.
    std::vector<int32_t> choice;
    double log_hit = 0, log_miss = 0, log_even = 0;
  };

  static void FitNumbers(Axis& axis, size_t dimensions);
  void Collapse();
  static void Normalize(Axis& axis);
  // Adds to each of `logs` what the axis makes of `value` by that kernel.
  static void AddLogs(const Axis& axis, double value, std::vector<double>& logs);

  double LogOfCounts(absl::Span<const double> values) const;

  std::vector<Axis> axes_;
  std::vector<double> weights_;        // Of kernels; their sum is 1.
  std::vector<double> cumulative_;     // Sums of weights_.
  bool counts_out_ = false;            // Choices alone, and few enough for products of doubles.
  std::vector<double> log_weights_;    // Where it does not.
  std::vector<double> probabilities_;  // A single parameter of choices: all there is to know.
};

}  // namespace mase

#endif  // MASE_SAMPLER_PARZEN_H_
