// One optimizer step over flat vectors of n parameters, one loop each.
//
// State and parameters are float32 and rounded after each operation in the order of PyTorch's
// single-tensor CPU optimizers, so that a step gives the same bits; rates and bias corrections are
// computed in double first. Multiply-adds are fused where PyTorch's are.
// Subnormal numbers (below 1.2e-38) count as zero. All vectors are
// caller-owned and must not overlap. Elements whose parameter, gradient and state are zero stay
// zero. Long vectors are worked on by OpenMP's pool; the number of threads does not show.
#ifndef MASE_KERNEL_DENSE_OPTIMIZER_STEP_H_
#define MASE_KERNEL_DENSE_OPTIMIZER_STEP_H_

#include <cstdint>

namespace mase {

struct AdamStepOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  // AdamW: parameters shrink by learning_rate * weight_decay first. Otherwise weight_decay times
  // the parameter is added to the gradient.
  bool decoupled_weight_decay = false;
  int64_t step = 1;  // Of this step, counted from 1.
};

void AdamStep(const AdamStepOptions& options, int64_t n, const float* gradients, float* parameters,
              float* first_moments, float* second_moments);

struct SgdStepOptions {
  double learning_rate = 1e-2;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool nesterov = true;
  int64_t step = 1;  // The first step starts `momenta` from the gradient.
};

void SgdStep(const SgdStepOptions& options, int64_t n, const float* gradients, float* parameters,
             float* momenta);

// The same in double, for checking; serial, and subnormal numbers count.
void AdamStep(const AdamStepOptions& options, int64_t n, const double* gradients,
              double* parameters, double* first_moments, double* second_moments);
void SgdStep(const SgdStepOptions& options, int64_t n, const double* gradients, double* parameters,
             double* momenta);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_OPTIMIZER_STEP_H_
