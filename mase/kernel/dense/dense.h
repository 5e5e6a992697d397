// Training of chains of small dense layers on [rows, features] float32, forward and backward, as
// one kernel. (Inference is kernel/dense_inference.cc.)
//
//   MASE_ASSIGN_OR_RETURN(DenseNet net, DenseNet::Create(layers));
//   std::vector<float> workspace(net.WorkspaceFloats(rows));
//   net.Forward({.data = x, .rows = rows}, tensors, y);
//   net.Backward(rows, diff_y, tensors, diff_x);
//
// A network of a few thousand weights spends its time between the multiplications: in allocations,
// one primitive per layer, activations that leave the cache. Here a chain of linear, batch norm,
// ReLU and dropout layers runs fused over blocks of rows, with nothing allocated and all memory
// the caller's. Inside, activations are stored by feature, so that a vector register holds one
// feature of 16 rows: no width is padded, and statistics and soft-max need no shuffles.
//
//   linear      y = x W^T + b                        W is [out, in], as PyTorch stores it
//   batch norm  y = gamma (x - mean) / sqrt(var + eps) + beta, statistics those of the batch, var
//               divided by n; the running ones move by `momentum` towards them, var divided by
//               n - 1
//   ReLU        y = max(x, 0); the gradient at 0 is 0
//   dropout     y = x * factor, with the factors of kernel/dropout.h
//
// Sums run in a fixed order: rows are cut into chunks by their number alone, and chunks are added
// in order. Results are the same bits for any number of OpenMP threads and on AVX2 and AVX-512. The
// baseline (SSE2) has no fused multiply-add and may differ in the last bits.
//
// A DenseNet is immutable and may be used by many threads, each with its own tensors.
#ifndef MASE_KERNEL_DENSE_DENSE_H_
#define MASE_KERNEL_DENSE_DENSE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/kernel/dense/softmax_cross_entropy.h"

namespace mase {

// One layer of a chain. Tensors are named by their position in DenseTensors; kNone means that the
// layer has no such tensor.
struct DenseLayer {
  enum class Kind { kLinear, kBatchNorm, kRelu, kDropout };
  static constexpr int kNone = -1;

  Kind kind = Kind::kLinear;
  int64_t in = 0;   // Features in.
  int64_t out = 0;  // Features out; equal to `in` but for kLinear.

  int weight = kNone;        // kLinear: W [out, in]. kBatchNorm: gamma, or 1.
  int bias = kNone;          // kLinear: b, or 0. kBatchNorm: beta, or 0.
  int running_mean = kNone;  // kBatchNorm only. Must exist.
  int running_var = kNone;

  double epsilon = 1e-5;  // kBatchNorm
  double momentum = 0.1;  // kBatchNorm
  double p = 0.5;         // kDropout
  uint64_t stream = 0;    // kDropout: factors are those of StreamSeed(DenseTensors::seed, stream).
};

// The rows of one call: `rows` rows of a row-major matrix [*, in], either the first ones, or those
// that `index` picks in that order.
struct DenseRows {
  const float* data = nullptr;
  const int64_t* index = nullptr;  // [rows] or null.
  int64_t rows = 0;
};

// All caller-owned. Tensors must not overlap each other.
struct DenseTensors {
  void* const* tensors = nullptr;    // Floats, by position; only running statistics are written.
  void* const* gradients = nullptr;  // Floats, by position; overwritten, where not null.
  float* workspace = nullptr;        // WorkspaceFloats() of them; no alignment needed. Holds the
                                     // activations from Forward until Backward.
  uint64_t seed = 0;                 // Of dropout; another one each step.
};

struct DenseOptions {
  // Linear layers round their operands (inputs and weights; backward the gradients of their results
  // too) to bfloat16 and add in float32. All else is float32.
  bool bfloat16 = false;
};

class DenseNet {
 public:
  // InvalidArgument, naming the layer by its number, if the chain is empty, a width is not
  // positive or does not continue the one before, or a tensor is missing.
  static absl::StatusOr<DenseNet> Create(absl::Span<const DenseLayer> layers,
                                         const DenseOptions& options = {});

  int64_t in() const;
  int64_t out() const;

  // The workspace that calls with up to `rows` rows need.
  int64_t WorkspaceFloats(int64_t rows) const;

  // Writes the outputs of `input` to `output`, row-major [rows, out]. There must be at least one
  // row, with a batch norm two (checked).
  void Forward(const DenseRows& input, const DenseTensors& tensors, float* output) const;

  // Writes the gradients of the chain's parameters, and of its input if `diff_input` (row-major
  // [rows, in]) is not null, given those of its output, row-major [rows, out]. The last call with
  // this workspace must have been Forward with as many rows and the same tensors.
  void Backward(int64_t rows, const float* diff_output, const DenseTensors& tensors,
                float* diff_input) const;

  // Forward, mean soft-max cross-entropy against labels[index[i]] (labels[i]
  // without an index), and Backward, without leaving the cache. Faster than the three.
  ClassificationLoss TrainStep(const DenseRows& input, const int64_t* labels,
                               const DenseTensors& tensors) const;

  class Plan;  // Of this library.

 private:
  std::shared_ptr<const Plan> plan_;  // A DenseNet is cheap to copy.
};

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_DENSE_H_
