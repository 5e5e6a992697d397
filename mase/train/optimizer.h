// Optimizers over one flat vector of parameters, step for step those of PyTorch:
//
//   adam   g += wd p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//          p -= rate / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//   adamw  p *= 1 - rate wd;  then as adam without its first part
//   sgd    g += wd p;  buf = momentum buf + g (the first time buf = g)
//          p -= rate (g + momentum buf)
//
// b1 = 0.9, b2 = 0.999, eps = 1e-8, momentum = 0.9 (Nesterov); t counts steps from 1. As in MASE,
// sgd's weight decay is always 5e-4. Every parameter decays, biases and batch norms included.
#ifndef MASE_TRAIN_OPTIMIZER_H_
#define MASE_TRAIN_OPTIMIZER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

enum class OptimizerKind { kAdam, kAdamW, kSgd };

// "adam", "adamw", "sgd".
absl::string_view OptimizerName(OptimizerKind kind);
// The reverse; NotFound, with the nearest name, otherwise.
absl::StatusOr<OptimizerKind> ParseOptimizer(absl::string_view name);
// PyTorch's class name, as the tag of its rate has it: "Adam" in lr-Adam.
absl::string_view OptimizerClass(OptimizerKind kind);
// The floor of its learning rate schedule in MASE: 1e-6, for sgd 0.
double DefaultRateFloor(OptimizerKind kind);

// T is float, or double for checking.
template <typename T>
class Optimizer {
 public:
  // What it remembers from step to step, of the size and layout of the parameters.
  struct State {
    std::string name;  // PyTorch's: exp_avg, exp_avg_sq; momentum_buffer.
    std::vector<T> values;
  };

  // `size` parameters. Padding elements stay zero where gradient and parameter are zero.
  Optimizer(OptimizerKind kind, double weight_decay, int64_t size);

  void Step(double rate, absl::Span<const T> gradients, absl::Span<T> parameters);

  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  absl::Span<State> states() { return absl::MakeSpan(states_); }
  absl::Span<const State> states() const { return states_; }

 private:
  const OptimizerKind kind_;
  const double weight_decay_;
  int64_t steps_ = 0;
  std::vector<State> states_;
};

extern template class Optimizer<float>;
extern template class Optimizer<double>;

}  // namespace mase

#endif  // MASE_TRAIN_OPTIMIZER_H_
