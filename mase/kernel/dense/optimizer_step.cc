#include "mase/kernel/dense/optimizer_step.h"

#include <xmmintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

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

// Parameters that are worth a task.
constexpr int64_t kGrain = 1 << 16;

// Calls body(begin, end) for parts of [0, n), on the pool where there are many parameters.
template <typename Body>
void InParts(int64_t n, const Body& body) {
  const int64_t parts = std::clamp<int64_t>(n / kGrain, 1, 64);
  const auto run = [&](int64_t part) {
    const FlushSubnormals flush;
    body(n * part / parts, n * (part + 1) / parts);
  };
  if (parts == 1) return run(0);
#pragma omp parallel for schedule(static)
  for (int64_t part = 0; part < parts; ++part) run(part);
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

}  // namespace mase
