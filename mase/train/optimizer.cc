#include "mase/train/optimizer.h"

#include <array>
#include <cmath>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/suggest.h"
#include "mase/kernel/dense/optimizer_step.h"

namespace mase {
namespace {

constexpr std::array<OptimizerKind, 3> kKinds = {OptimizerKind::kAdam, OptimizerKind::kAdamW,
                                                 OptimizerKind::kSgd};

// The kernels' float loops in double, written for reading, not for speed.
void AdamStep(const AdamStepOptions& o, int64_t n, const double* gradients, double* parameters,
              double* first_moments, double* second_moments) {
  const double step = static_cast<double>(o.step);
  const double step_size = o.learning_rate / (1 - std::pow(o.beta1, step));
  const double root_correction = std::sqrt(1 - std::pow(o.beta2, step));
  for (int64_t i = 0; i < n; ++i) {
    double gradient = gradients[i];
    double& p = parameters[i];
    double& m = first_moments[i];
    double& v = second_moments[i];
    if (o.decoupled_weight_decay) {
      p *= 1 - o.learning_rate * o.weight_decay;
    } else {
      gradient += o.weight_decay * p;
    }
    m += (1 - o.beta1) * (gradient - m);
    v = o.beta2 * v + (1 - o.beta2) * gradient * gradient;
    p -= step_size * m / (std::sqrt(v) / root_correction + o.epsilon);
  }
}

void SgdStep(const SgdStepOptions& o, int64_t n, const double* gradients, double* parameters,
             double* momenta) {
  for (int64_t i = 0; i < n; ++i) {
    const double gradient = gradients[i] + o.weight_decay * parameters[i];
    momenta[i] = o.step == 1 ? gradient : o.momentum * momenta[i] + gradient;
    parameters[i] -= o.learning_rate * (gradient + o.momentum * momenta[i]);
  }
}

}  // namespace

absl::string_view OptimizerName(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kAdam:
      return "adam";
    case OptimizerKind::kAdamW:
      return "adamw";
    case OptimizerKind::kSgd:
      return "sgd";
  }
  return "";
}

absl::string_view OptimizerClass(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kAdam:
      return "Adam";
    case OptimizerKind::kAdamW:
      return "AdamW";
    case OptimizerKind::kSgd:
      return "SGD";
  }
  return "";
}

double DefaultRateFloor(OptimizerKind kind) { return kind == OptimizerKind::kSgd ? 0 : 1e-6; }

absl::StatusOr<OptimizerKind> ParseOptimizer(absl::string_view name) {
  std::vector<std::string> names;
  for (const OptimizerKind kind : kKinds) {
    if (OptimizerName(kind) == name) return kind;
    names.emplace_back(OptimizerName(kind));
  }
  return absl::NotFoundError(
      absl::StrCat("Unsupported optimizer name ", name, Suggest(name, names)));
}

template <typename T>
Optimizer<T>::Optimizer(OptimizerKind kind, double weight_decay, int64_t size)
    : kind_(kind), weight_decay_(kind == OptimizerKind::kSgd ? 5e-4 : weight_decay) {
  const std::vector<T> zeros(size, 0);
  if (kind == OptimizerKind::kSgd) {
    states_ = {{"momentum_buffer", zeros}};
  } else {
    states_ = {{"exp_avg", zeros}, {"exp_avg_sq", zeros}};
  }
}

template <typename T>
void Optimizer<T>::Step(double rate, absl::Span<const T> gradients, absl::Span<T> parameters) {
  ++steps_;
  const int64_t n = static_cast<int64_t>(parameters.size());
  if (kind_ == OptimizerKind::kSgd) {
    SgdStep({.learning_rate = rate, .weight_decay = weight_decay_, .step = steps_}, n,
            gradients.data(), parameters.data(), states_[0].values.data());
  } else {
    AdamStep({.learning_rate = rate,
              .weight_decay = weight_decay_,
              .decoupled_weight_decay = kind_ == OptimizerKind::kAdamW,
              .step = steps_},
             n, gradients.data(), parameters.data(), states_[0].values.data(),
             states_[1].values.data());
  }
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace mase
