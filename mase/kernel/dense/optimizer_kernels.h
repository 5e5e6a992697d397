// Optimizer loops for the instruction set of simd.h. Each statement rounds where PyTorch rounds.
#ifndef MASE_KERNEL_DENSE_OPTIMIZER_KERNELS_H_
#define MASE_KERNEL_DENSE_OPTIMIZER_KERNELS_H_

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

// Up to kLanes elements at p; zeros beyond.
MASE_INLINE V LoadSome(const float* p, int64_t count) {
  if (count >= kLanes) return Load(p);
  V v = Set(0.0f);
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
}

MASE_INLINE void StoreSome(float* p, int64_t count, V v) {
  if (count >= kLanes) return Store(p, v);
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
}

inline void Adam(const DenseAdamFactors& factors, int64_t n, const float* gradients,
                 float* parameters, float* first_moments, float* second_moments) {
  const V rate = Set(factors.negative_rate);
  const V root_correction = Set(factors.root_correction);
  const V epsilon = Set(factors.epsilon);
  const V new_share1 = Set(factors.new_share1);
  const V beta2 = Set(factors.beta2);
  const V new_share2 = Set(factors.new_share2);
  const V decay = Set(factors.decay);
  const V keep = Set(factors.keep);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i;
    // Without decay, these two change nothing: x * 1 and y * 0 + x.
    const V parameter = LoadSome(parameters + i, count) * keep;
    const V gradient = Fma(parameter, decay, LoadSome(gradients + i, count));
    V first = LoadSome(first_moments + i, count);
    V second = LoadSome(second_moments + i, count);
    first = Fma(new_share1, gradient - first, first);
    second = second * beta2;
    second = second + new_share2 * gradient * gradient;
    const V denominator = Sqrt(second) / root_correction + epsilon;
    StoreSome(first_moments + i, count, first);
    StoreSome(second_moments + i, count, second);
    StoreSome(parameters + i, count, parameter + rate * first / denominator);
  }
}

inline void Sgd(const DenseSgdFactors& factors, int64_t n, const float* gradients,
                float* parameters, float* momenta) {
  const V rate = Set(factors.negative_rate);
  const V momentum = Set(factors.momentum);
  const V decay = Set(factors.decay);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i;
    const V parameter = LoadSome(parameters + i, count);
    V gradient = Fma(parameter, decay, LoadSome(gradients + i, count));
    if (factors.momentum != 0) {
      V buffer = gradient;
      if (!factors.first_step) buffer = LoadSome(momenta + i, count) * momentum + gradient;
      StoreSome(momenta + i, count, buffer);
      gradient = factors.nesterov ? Fma(buffer, momentum, gradient) : buffer;
    }
    StoreSome(parameters + i, count, Fma(gradient, rate, parameter));
  }
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_OPTIMIZER_KERNELS_H_
