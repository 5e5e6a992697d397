#include "mase/kernel/gemm.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status.h"
#include "mase/kernel/onednn.h"
#include "oneapi/dnnl/dnnl.h"

namespace mase {
namespace {

// Up to this many elements of B, packing and dispatch in oneDNN cost more than they save.
constexpr int64_t kSmallMatrix = 1 << 13;
// Multiplications that are worth a task, and the most tasks that one product is cut into. Few,
// because every task packs its operands again.
constexpr int64_t kTaskMacs = 1 << 19;
constexpr int64_t kMaxTasks = 8;

// 64 bytes, in as many registers as the instruction set needs; loads need no alignment. Blocks of
// float and double are as many vectors, so that they take as many registers (and, to compile, as
// long: what does not fit into registers costs the compiler most).
template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
};
template <typename T>
using Vector = typename VectorOf<T>::type;
template <typename T>
constexpr int64_t kLanes = 64 / sizeof(T);

// The op relu on a number or a vector, in place.
template <typename V>
[[gnu::always_inline]] inline void Relu(V& x) {
  x = x < 0 ? V{} : x;
}

// Columns of a wide block.
template <typename T>
constexpr int64_t kWide = 2 * kLanes<T>;

template <typename T>
[[gnu::always_inline]] inline void StoreSums(const Gemm<T>& g, int64_t row, int64_t col,
                                             int64_t count, const T* sums) {
  T* dst = g.c + row * g.cols + col;
  for (int64_t c = 0; c < count; ++c) {
    dst[c] = sums[c] + (g.bias != nullptr ? g.bias[col + c] : g.accumulate ? dst[c] : T(0));
    if (g.relu) Relu(dst[c]);
  }
}

// What an instruction set has one of, called from all blocks. The baseline's would cost a block of
// AVX a hundred cycles on Intel's CPUs: half of a register in use, its old instructions trap.
template <typename T>
using StoreFunction = void(const Gemm<T>& g, int64_t row, int64_t col, int64_t count,
                           const T* sums);
template <typename T>
[[gnu::noinline]] void StoreBaseline(const Gemm<T>& g, int64_t row, int64_t col, int64_t count,
                                     const T* sums) {
  StoreSums(g, row, col, count, sums);
}
template <typename T>
[[gnu::target(MASE_TARGET_AVX2), gnu::noinline]] void StoreAvx2(const Gemm<T>& g, int64_t row,
                                                                int64_t col, int64_t count,
                                                                const T* sums) {
  StoreSums(g, row, col, count, sums);
}
template <typename T>
[[gnu::target(MASE_TARGET_AVX512), gnu::noinline]] void StoreAvx512(const Gemm<T>& g, int64_t row,
                                                                    int64_t col, int64_t count,
                                                                    const T* sums) {
  StoreSums(g, row, col, count, sums);
}

// Rows x Vectors results, held in registers while walking along `depth`; the first `count` columns
// are stored. B's columns are neighbours.
template <int Rows, int Vectors, typename T, StoreFunction<T> kStore>
[[gnu::always_inline]] inline void Block(const Gemm<T>& g, int64_t row, int64_t col,
                                         int64_t count) {
  Vector<T> sums[Rows][Vectors] = {};
  const T* a = g.a.data + row * g.a.row_stride;
  const T* b = g.b.data + col;
  const auto add_step = [&](Vector<T>(&to)[Rows][Vectors]) __attribute__((always_inline)) {
    Vector<T> columns[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      columns[v] = *reinterpret_cast<const Vector<T>*>(b + v * kLanes<T>);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) to[r][v] += a[r * g.a.row_stride] * columns[v];
    }
    b += g.b.row_stride;
    a += g.a.col_stride;
  };
  int64_t k = 0;
  if constexpr (Rows == 1) {
    // One row waits for each multiply-add before the next: in any order, for a quarter of them.
    if (g.any_order) {
      Vector<T> others[3][Rows][Vectors] = {};
      for (; k + 4 <= g.depth; k += 4) {
        add_step(sums);
#pragma GCC unroll 3
        for (int i = 0; i < 3; ++i) add_step(others[i]);
      }
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        sums[0][v] = (sums[0][v] + others[0][0][v]) + (others[1][0][v] + others[2][0][v]);
      }
    }
  }
  for (; k < g.depth; ++k) add_step(sums);
  if (count < Vectors * kLanes<T>) {
    T narrow[Rows][Vectors * kLanes<T>];
    std::memcpy(narrow, sums, sizeof(sums));
#pragma GCC unroll 1
    for (int r = 0; r < Rows; ++r) kStore(g, row + r, col, count, narrow[r]);
    return;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      T* dst = g.c + (row + r) * g.cols + col + v * kLanes<T>;
      Vector<T> x = sums[r][v];
      if (g.bias != nullptr) {
        x += *reinterpret_cast<const Vector<T>*>(g.bias + col + v * kLanes<T>);
      } else if (g.accumulate) {
        x += *reinterpret_cast<const Vector<T>*>(dst);
      }
      if (g.relu) Relu(x);
      *reinterpret_cast<Vector<T>*>(dst) = x;
    }
  }
}

template <int Rows, int Vectors, typename T, StoreFunction<T> kStore>
[[gnu::always_inline]] inline void BlockColumn(const Gemm<T>& g, int64_t begin, int64_t end,
                                               int64_t col, int64_t count) {
  int64_t row = begin;
  for (; row + Rows <= end; row += Rows) Block<Rows, Vectors, T, kStore>(g, row, col, count);
  for (; row < end; ++row) Block<1, Vectors, T, kStore>(g, row, col, count);
}

// One row, fewer columns than a block, B of any strides.
template <typename T, StoreFunction<T> kStore>
[[gnu::always_inline]] inline void NarrowRow(const Gemm<T>& g, int64_t row, int64_t col,
                                             int64_t count) {
  T sums[kWide<T>] = {};
  const T* a = g.a.data + row * g.a.row_stride;
  const T* b = g.b.data + col * g.b.col_stride;
  for (int64_t k = 0; k < g.depth; ++k, b += g.b.row_stride, a += g.a.col_stride) {
    for (int64_t c = 0; c < count; ++c) sums[c] += *a * b[c * g.b.col_stride];
  }
  kStore(g, row, col, count, sums);
}

// Columns [0, cols) of some rows by blocks that fit the registers of an instruction set: a wide one
// of kRows rows by kVectors vectors, and for what is left one vector.
template <int kRows, int kVectors, int kNarrowRows, typename T, StoreFunction<T> kStore>
[[gnu::always_inline]] inline void BlockRows(const Gemm<T>& gemm, int64_t begin, int64_t end) {
  constexpr int64_t kColumns = kVectors * kLanes<T>;
  const Gemm<T> g = gemm;
  int64_t col = 0;
  if (g.b.col_stride == 1) {
    for (; kVectors > 1 && col + kColumns <= g.cols; col += kColumns) {
      BlockColumn<kRows, kVectors, T, kStore>(g, begin, end, col, kColumns);
    }
    // Padding makes whole blocks of what is left.
    const int64_t readable = g.b_is_padded ? PadColumns(g.cols) : g.cols;
    for (; col < g.cols && col + kLanes<T> <= readable; col += kLanes<T>) {
      BlockColumn<kNarrowRows, 1, T, kStore>(g, begin, end, col, std::min(kLanes<T>, g.cols - col));
    }
  }
  for (; col < g.cols; col += kWide<T>) {
    const int64_t count = std::min(kWide<T>, g.cols - col);
    for (int64_t row = begin; row < end; ++row) NarrowRow<T, kStore>(g, row, col, count);
  }
}

// A vector is one register of AVX-512, two of AVX2's sixteen and four of SSE2's.
template <typename T>
void PlainRows(const Gemm<T>& g, int64_t begin, int64_t end) {
  switch (CurrentIsa()) {
    case Isa::kAvx512:
      return RunAvx512([&] { BlockRows<6, 2, 8, T, StoreAvx512<T>>(g, begin, end); });
    case Isa::kAvx2:
      return RunAvx2([&] { BlockRows<6, 1, 6, T, StoreAvx2<T>>(g, begin, end); });
    case Isa::kBaseline:
      return RunBaseline([&] { BlockRows<2, 1, 2, T, StoreBaseline<T>>(g, begin, end); });
  }
}

// One row of A by columns of B of which the elements are neighbours, from memory: a few at a time.
void RowByColumns(const Gemm<float>& gemm, int64_t begin, int64_t end) {
  ForBestIsa([&] {
    constexpr int64_t kLanes16 = kLanes<float>, kAtOnce = 4, kPrefetch = 512;
    const Gemm<float> g = gemm;
    const int64_t whole = g.depth / kLanes16 * kLanes16;
    for (int64_t col = begin; col < end; col += kAtOnce) {
      const int64_t count = std::min(kAtOnce, end - col);
      const float* b[kAtOnce];
      // The last columns may be fewer: then some are computed twice.
      for (int64_t c = 0; c < kAtOnce; ++c) {
        b[c] = g.b.data + (col + std::min(c, count - 1)) * g.b.col_stride;
      }
      Vector<float> sums[kAtOnce] = {};
      for (int64_t k = 0; k < whole; k += kLanes16) {
        const Vector<float> a = *reinterpret_cast<const Vector<float>*>(g.a.data + k);
#pragma GCC unroll 4
        for (int64_t c = 0; c < kAtOnce; ++c) {
          __builtin_prefetch(b[c] + k + kPrefetch);
          sums[c] += a * *reinterpret_cast<const Vector<float>*>(b[c] + k);
        }
      }
      for (int64_t c = 0; c < count; ++c) {
        float sum = 0;
        for (int64_t i = 0; i < kLanes16; ++i) sum += sums[c][i];
        for (int64_t k = whole; k < g.depth; ++k) sum += g.a.data[k] * b[c][k];
        StoreSums(g, 0, col + c, 1, &sum);
      }
    }
  });
}

// oneDNN's product of a part of C; it uses one thread inside a parallel region.
dnnl_status_t OneDnnPart(const Gemm<float>& g, int64_t row, int64_t rows, int64_t col,
                         int64_t cols) {
  const bool transposed_a = g.a.col_stride != 1;
  const bool transposed_b = g.b.col_stride != 1;
  float* c = g.c + row * g.cols + col;
  if (g.bias != nullptr) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(g.bias + col, cols, c + r * g.cols);
  }
  const bool add = g.bias != nullptr || g.accumulate;
  // A stored matrix of one row has any stride, also one that oneDNN would refuse.
  const int64_t lda =
      transposed_a ? std::max(g.a.col_stride, rows) : std::max(g.a.row_stride, g.depth);
  const int64_t ldb =
      transposed_b ? std::max(g.b.col_stride, g.depth) : std::max(g.b.row_stride, cols);
  const dnnl_status_t status =
      dnnl_sgemm(transposed_a ? 'T' : 'N', transposed_b ? 'T' : 'N', rows, cols, g.depth, 1.0f,
                 g.a.data + row * g.a.row_stride, lda, g.b.data + col * g.b.col_stride, ldb,
                 add ? 1.0f : 0.0f, c, g.cols);
  if (g.relu) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < cols; ++i) Relu(c[r * g.cols + i]);
    }
  }
  return status;
}

absl::Status OneDnnGemm(const Gemm<float>& g, int64_t tasks) {
  std::atomic<int> failed = dnnl_success;
  const bool by_rows = g.rows >= g.cols;
  const auto part = [&](int64_t, int64_t begin, int64_t end) {
    const dnnl_status_t status = by_rows ? OneDnnPart(g, begin, end - begin, 0, g.cols)
                                         : OneDnnPart(g, 0, g.rows, begin, end - begin);
    if (status != dnnl_success) failed = status;
  };
  ForChunks(by_rows ? g.rows : g.cols, tasks, part);
  if (failed == dnnl_success) return absl::OkStatus();
  return Annotate(OneDnnFailed(failed), absl::StrCat("a product of [", g.rows, ", ", g.depth,
                                                     "] by [", g.depth, ", ", g.cols, "]"));
}

enum class Way { kPlain, kRowByColumns, kOneDnn };

template <typename T>
Way WayOf(const Gemm<T>& g) {
  if (!std::is_same_v<T, float> || g.depth == 0) return Way::kPlain;
  if (g.b.col_stride == 1 && g.cols * g.depth <= kSmallMatrix) return Way::kPlain;
  const bool by_columns = g.rows == 1 && g.a.col_stride == 1 && g.b.row_stride == 1;
  return by_columns ? Way::kRowByColumns : Way::kOneDnn;
}

}  // namespace

template <typename T>
KernelFacts FactsOfGemm(const Gemm<T>& g) {
  if (WayOf(g) != Way::kOneDnn) return {.isa = IsaName(CurrentIsa())};
  return {.implementation = "oneDNN sgemm", .isa = OneDnnFloatIsa()};
}

template <typename T>
bool PrefersRowMajorB(int64_t cols, int64_t depth) {
  return std::is_same_v<T, double> || cols * depth <= kSmallMatrix;
}

template <typename T>
absl::Status RunGemm(const Gemm<T>& g) {
  if (g.rows == 0 || g.cols == 0) return absl::OkStatus();
  const int64_t macs = g.rows * g.cols * g.depth;
  if constexpr (std::is_same_v<T, float>) {
    const Way way = WayOf(g);
    if (way == Way::kRowByColumns) {
      ForChunks(g.cols, ChunkCount(macs, kTaskMacs, std::min(g.cols, kMaxTasks)),
                [&](int64_t, int64_t begin, int64_t end) { RowByColumns(g, begin, end); });
      return absl::OkStatus();
    }
    if (way == Way::kOneDnn) {
      return OneDnnGemm(
          g, std::clamp<int64_t>(std::min(macs / kTaskMacs, std::max(g.rows, g.cols) / 32), 1,
                                 kMaxTasks));
    }
  }
  ForChunks(g.rows, ChunkCount(macs, kTaskMacs, std::min<int64_t>(g.rows, 64)),
            [&](int64_t, int64_t begin, int64_t end) { PlainRows(g, begin, end); });
  return absl::OkStatus();
}

template <typename T>
void ColumnSums(const T* src, int64_t rows, int64_t cols, T* dst) {
  // Blocks of rows in T, their sums in double: short chains of rounding at full speed.
  constexpr int64_t kRows = 128;
  constexpr int64_t kCols = 64;
  ParallelFor(cols, std::max<int64_t>(kCols, kElementGrain / std::max<int64_t>(rows, 1)),
              [&](int64_t begin, int64_t end) {
                ForBestIsa([&] {
                  for (int64_t col = begin; col < end; col += kCols) {
                    const int64_t count = std::min(kCols, end - col);
                    double totals[kCols] = {};
                    for (int64_t first = 0; first < rows; first += kRows) {
                      T sums[kCols] = {};
                      for (int64_t row = first; row < std::min(rows, first + kRows); ++row) {
                        for (int64_t c = 0; c < count; ++c) sums[c] += src[row * cols + col + c];
                      }
                      for (int64_t c = 0; c < count; ++c) totals[c] += sums[c];
                    }
                    for (int64_t c = 0; c < count; ++c) dst[col + c] = static_cast<T>(totals[c]);
                  }
                });
              });
}

template KernelFacts FactsOfGemm(const Gemm<float>&);
template KernelFacts FactsOfGemm(const Gemm<double>&);
template bool PrefersRowMajorB<float>(int64_t, int64_t);
template bool PrefersRowMajorB<double>(int64_t, int64_t);
template absl::Status RunGemm(const Gemm<float>&);
template absl::Status RunGemm(const Gemm<double>&);
template void ColumnSums(const float*, int64_t, int64_t, float*);
template void ColumnSums(const double*, int64_t, int64_t, double*);

}  // namespace mase
