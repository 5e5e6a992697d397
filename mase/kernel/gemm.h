// Matrix product for every kernel: C [rows, cols] = A [rows, depth] B [depth, cols] (+ bias per
// column) (+ C), and what is below zero set to zero where wanted. A and B are strided views, so
// that a transposed operand is one with its strides swapped; C is row-major.
#ifndef MASE_KERNEL_GEMM_H_
#define MASE_KERNEL_GEMM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "mase/kernel/kernel.h"

namespace mase {

// Element (i, j) is data[i * row_stride + j * col_stride]; one of the strides is 1.
template <typename T>
struct MatrixView {
  const T* data;
  int64_t row_stride;
  int64_t col_stride;
};

template <typename T>
MatrixView<T> RowMajor(const T* data, int64_t cols) {
  return {data, cols, 1};
}
template <typename T>
MatrixView<T> Transposed(const T* data, int64_t cols) {
  return {data, 1, cols};
}

template <typename T>
struct Gemm {
  int64_t rows;
  int64_t cols;
  int64_t depth;
  MatrixView<T> a;
  MatrixView<T> b;
  T* c;                     // May not overlap a or b.
  const T* bias = nullptr;  // [cols]
  bool accumulate = false;  // Adds to C; without bias.
  bool relu = false;        // As the op relu: NaN stays NaN. Not with accumulate.
  bool any_order = false;   // Sums of products are exact, in whatever order (KernelSpec::sum_bits).
  // B is row-major and its rows may be read up to the next multiple of kColumnPadding.
  bool b_is_padded = false;
};

inline constexpr int64_t kColumnPadding = 16;
inline int64_t PadColumns(int64_t cols) {
  return (cols + kColumnPadding - 1) / kColumnPadding * kColumnPadding;
}

// Small products, and all in double, are plain loops; others oneDNN's. Runs on the pool; the
// result does not depend on the number of threads. Internal if oneDNN fails.
template <typename T>
absl::Status RunGemm(const Gemm<T>& gemm);

// What a report says of a product with these extents and strides; pointers are not read.
template <typename T>
KernelFacts FactsOfGemm(const Gemm<T>& gemm);

// Whether RunGemm is at its best with B row-major and padded: worth transposing weights once.
template <typename T>
bool PrefersRowMajorB(int64_t cols, int64_t depth);

// dst[c] = sum over rows of src[r, c].
template <typename T>
void ColumnSums(const T* src, int64_t rows, int64_t cols, T* dst);

}  // namespace mase

#endif  // MASE_KERNEL_GEMM_H_
