#include "mase/kernel/dense/optimizer_step.h"

#include <xmmintrin.h>

#include <cmath>

#include "mase/kernel/dense/kernels.h"

namespace mase {
namespace {

// Moments of parameters without gradient decay into the subnormal numbers, on which each operation
// takes a hundred cycles, and do not move a parameter there. While this lives, they are zeros.
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush | kReadAsZero); }
  ~FlushSubnormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kFlush = 0x8000;
  static constexpr unsigned kReadAsZero = 0x40;
  const unsigned before_;
};

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
  const FlushSubnormals flush;
  CurrentDenseKernels().adam(factors, n, gradients, parameters, first_moments, second_moments);
}

void SgdStep(const SgdStepOptions& options, int64_t n, const float* gradients, float* parameters,
             float* momenta) {
  DenseSgdFactors factors;
  factors.negative_rate = static_cast<float>(-options.learning_rate);
  factors.momentum = static_cast<float>(options.momentum);
  factors.decay = static_cast<float>(options.weight_decay);
  factors.nesterov = options.nesterov;
  factors.first_step = options.step <= 1;
  const FlushSubnormals flush;
  CurrentDenseKernels().sgd(factors, n, gradients, parameters, momenta);
}

}  // namespace mase
