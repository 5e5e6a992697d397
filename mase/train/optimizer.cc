#include "mase/train/optimizer.h"

#include <array>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/suggest.h"
#include "mase/kernel/dense/optimizer_step.h"

namespace mase {
namespace {

constexpr std::array<OptimizerKind, 3> kKinds = {OptimizerKind::kAdam, OptimizerKind::kAdamW,
                                                 OptimizerKind::kSgd};

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
