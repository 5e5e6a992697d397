// The arithmetic of chains of dense layers: two tables of functions per instruction set.
//
// But for inference (DenseChain), matrices are stored by feature: element (feature f, row r) at f *
// ld + r. Rows come in groups of 16; `ld` is a multiple of 16, and the rows between the last one
// and the end of its group, the padding, may be written with anything finite. Gradients are zero
// there.
#ifndef MASE_KERNEL_DENSE_KERNELS_H_
#define MASE_KERNEL_DENSE_KERNELS_H_

#include <cstdint>

#include "mase/kernel/dense/classification_loss.h"

namespace mase {

// c[m, r] = sum_k a[m * a_stride + k * a_depth_stride] * b[k, r], then in this order, each if
// given: + bias[m]; (. - mean[m]) * scale[m] + shift[m]; max(., 0); 0 where mask[m, r] <= 0.
struct DenseProduct {
  const float* a = nullptr;
  int64_t a_stride = 0;
  int64_t a_depth_stride = 0;
  int64_t features = 0;  // Range of m.
  int64_t depth = 0;     // Range of k.
  int64_t groups = 0;    // Of 16 rows.
  int64_t ld = 0;        // Of b, c and mask.
  const float* b = nullptr;
  float* c = nullptr;
  const float* bias = nullptr;
  const float* mean = nullptr;  // With scale and shift.
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool relu = false;
  const float* mask = nullptr;
};

// weight[o, i] = sum_r diff[o, r] * src[i, r], row-major [out, in], and bias[o] = sum_r diff[o, r].
struct DenseWeightGradient {
  const float* diff = nullptr;
  const float* src = nullptr;
  int64_t ld = 0;  // Of diff and src.
  int64_t groups = 0;
  int64_t out = 0;
  int64_t in = 0;
  float* weight = nullptr;
  float* bias = nullptr;  // May be null.
};

// A matrix [features, rows] stored by feature, and a second of the same layout.
struct DenseShape {
  int64_t features = 0;
  int64_t rows = 0;
  int64_t ld = 0;
};

// A run "linear? batch norm? ReLU?" of a chain in inference. Activations are row-major, their rows
// padded to `stride` features, a multiple of 16, as are bias and norm. Weights lie in strips of 4,
// 2 or 1 groups of 16 features (DenseChainStrip), each [in, its features], so that a tile walks
// along neighbouring memory; what pads them is zero.
struct DenseChainStage {
  int64_t in = 0, out = 0;
  int64_t stride = 0;
  const float* weight = nullptr;  // Null: no product; then in == out.
  const float* bias = nullptr;    // With `weight`: [stride].
  const float* mean = nullptr;    // [3, stride]: mean, scale, shift. Null: no norm.
  bool relu = false;
  // Matrices of the scratch: what it reads, with so many floats a row, or -1 for the chain's rows;
  // what it writes; and what it adds behind the norm, in front of the ReLU, or -1.
  int64_t from = -1, src_stride = 0, to = 0, add = -1;
};

// Groups of the strip that begins at `feature`.
inline int64_t DenseChainStrip(int64_t stride, int64_t feature) {
  const int64_t left = (stride - feature) / 16;
  return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

struct DenseChain {
  int64_t in = 0, out = 0;
  int64_t widest = 0;  // Of the strides.
  int64_t stage_count = 0;
  const DenseChainStage* stages = nullptr;
  int64_t matrices = 2;  // Of the scratch.
};

// What AdamStep and SgdStep compute before their loops.
struct DenseAdamFactors {
  float negative_rate;    // -learning_rate / (1 - beta1^step)
  float root_correction;  // sqrt(1 - beta2^step)
  float epsilon;
  float new_share1;  // 1 - beta1
  float beta2;
  float new_share2;  // 1 - beta2
  float decay;       // Added to the gradient, times the parameter; or 0.
  float keep;        // The parameter is multiplied by it first; or 1.
};

struct DenseSgdFactors {
  float negative_rate;
  float momentum;
  float decay;
  bool nesterov;
  bool first_step;
};

// Of inference.
struct DenseChainLoops {
  // Rows [rows, chain.in] through all layers, to [rows, chain.out]: one row, or a block that fits
  // the L1 cache. `scratch` is chain.matrices * rows * chain.widest floats. That of a row is a
  // RowFunction (kernel/kernel.h) whose prepared memory begins with a DenseChain; it is always
  // true.
  bool (*row)(const void* chain, const void* src, void* dst, void* scratch);
  void (*block)(const DenseChain& chain, const float* src, int64_t rows, float* dst,
                float* scratch);
};

// Of training, which alone links it.
struct DenseKernels {
  // Copies rows 0, 1, ..., or those of `index` if it is not null, of a row-major matrix
  // [*, features] into one stored by feature, with zero padding; and back.
  void (*load_by_feature)(const DenseShape&, const float* src, const int64_t* index, float* dst);
  void (*store_by_row)(const DenseShape&, const float* src, float* dst);

  void (*product)(const DenseProduct&);
  void (*weight_gradient)(const DenseWeightGradient&);

  // Per feature over the rows: sum of x, and sum of squared distances from sum / rows.
  void (*moments)(const DenseShape&, const float* x, float* sum, float* squares);
  // y = (x - mean) * scale + shift per feature, then ReLU if `relu`. y may be x.
  void (*normalize)(const DenseShape&, const float* x, const float* mean, const float* scale,
                    const float* shift, bool relu, float* y);
  // Per feature over the rows: sum of diff, and of diff * (x - mean).
  void (*norm_gradient_sums)(const DenseShape&, const float* diff, const float* x,
                             const float* mean, float* diff_sum, float* product_sum);
  // diff = (diff - offset - (x - mean) * slope) * scale per feature; 0 in the padding.
  void (*norm_gradient)(const DenseShape&, const float* x, const float* mean, const float* offset,
                        const float* slope, const float* scale, float* diff);

  void (*relu)(const DenseShape&, const float* x, float* y);
  // diff = 0 where y <= 0.
  void (*relu_gradient)(const DenseShape&, const float* y, float* diff);
  // y = x * factor. y may be x.
  void (*multiply)(const DenseShape&, const float* x, const float* factor, float* y);
  // y[i] = the bfloat16 nearest to x[i], ties to even, i < n. y may be x.
  void (*round_to_bfloat16)(int64_t n, const float* x, float* y);
  // sum[i] += x[i], i < n.
  void (*accumulate)(int64_t n, const float* x, float* sum);

  // As SoftmaxCrossEntropy, but returns the sum of losses, takes narrow labels, and multiplies diff
  // by `diff_scale` where that divides by rows. Scores and diff are stored by feature, where diff's
  // padding becomes zero, or row-major if ld is 0.
  ClassificationLoss (*softmax_cross_entropy)(const float* scores, const int32_t* labels,
                                              int64_t rows, int64_t classes, int64_t ld,
                                              float diff_scale, float* diff);

  void (*adam)(const DenseAdamFactors&, int64_t n, const float* gradients, float* parameters,
               float* first_moments, float* second_moments);
  void (*sgd)(const DenseSgdFactors&, int64_t n, const float* gradients, float* parameters,
              float* momenta);
};

namespace dense_avx512 {
extern const DenseChainLoops kChainKernels;
extern const DenseKernels kKernels;
}  // namespace dense_avx512
namespace dense_avx2 {
extern const DenseChainLoops kChainKernels;
extern const DenseKernels kKernels;
}  // namespace dense_avx2
namespace dense_baseline {
extern const DenseChainLoops kChainKernels;
extern const DenseKernels kKernels;
}  // namespace dense_baseline

// The tables for CurrentIsa().
const DenseChainLoops& CurrentDenseChainLoops();
const DenseKernels& CurrentDenseKernels();

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_KERNELS_H_
