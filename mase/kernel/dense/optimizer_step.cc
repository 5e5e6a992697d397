#include "mase/kernel/dense/optimizer_step.h"

#include <cmath>
#include <cstdint>

#include "mase/base/flush_subnormals.h"
#include "mase/base/parallel.h"
#include "mase/kernel/dense/kernels.h"

namespace mase {
namespace {

// Parameters that are worth a task.
constexpr int64_t kGrain = 1 << 16;

// Calls body(begin, end) for parts of [0, n), on the pool where there are many parameters. Moments
// of parameters without gradient decay into the subnormal numbers.
template <typename Body>
void InParts(int64_t n, const Body& body) {
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    const FlushSubnormals flush;
    body(begin, end);
  });
}

}  // namespace

void AdamStep(const AdamStepOptions& options, int64_t n, const float* gradients, float* parameters,
              float* first_moments, float* second_moments) {
  const double step = static_cast<double>(options.step);
  const double correction1 = 1 - std::pow(options.beta1, step);
  const double correction2 = 1 - std::pow(options.beta2, step);
  const bool decoupled = options.decoupled_weight_decay;
  DenseAdamFactors factors;
  factors.negative_rate = static_cast<float>(-(options.learning_rate / correction1));
  factors.root_correction = static_cast<float>(std::sqrt(correction2));
  factors.epsilon = static_cast<float>(options.epsilon);
  factors.new_share1 = static_cast<float>(1 - options.beta1);
  factors.beta2 = static_cast<float>(options.beta2);
  factors.new_share2 = static_cast<float>(1 - options.beta2);
  factors.decay = decoupled ? 0.0f : static_cast<float>(options.weight_decay);
  factors.keep =
      decoupled ? static_cast<float>(1 - options.learning_rate * options.weight_decay) : 1.0f;
  InParts(n, [&](int64_t begin, int64_t end) {
    CurrentDenseKernels().adam(factors, end - begin, gradients + begin, parameters + begin,
                               first_moments + begin, second_moments + begin);
  });
}

void SgdStep(const SgdStepOptions& options, int64_t n, const float* gradients, float* parameters,
             float* momenta) {
  DenseSgdFactors factors;
  factors.negative_rate = static_cast<float>(-options.learning_rate);
  factors.momentum = static_cast<float>(options.momentum);
  factors.decay = static_cast<float>(options.weight_decay);
  factors.nesterov = options.nesterov;
  factors.first_step = options.step <= 1;
  InParts(n, [&](int64_t begin, int64_t end) {
    CurrentDenseKernels().sgd(factors, end - begin, gradients + begin, parameters + begin,
                              momenta + begin);
  });
}

// In double: written for reading, not for speed.
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
    const double step = o.nesterov ? gradient + o.momentum * momenta[i] : momenta[i];
    parameters[i] -= o.learning_rate * step;
  }
}

}  // namespace mase
