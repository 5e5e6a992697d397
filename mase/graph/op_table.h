// The parts of the op table, one function per file, and what their shape rules
// share. Only op_schema.cc and the ops_*.cc files include this.
#ifndef MASE_GRAPH_OP_TABLE_H_
#define MASE_GRAPH_OP_TABLE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/ops.h"

namespace mase {

std::vector<OpSchema> ElementwiseOps();  // relu, gelu, add, mul, ...
std::vector<OpSchema> MatrixOps();       // linear, conv1d, conv2d, matmul, bmm
std::vector<OpSchema> NormOps();         // batch_norm1d, layer_norm, ..., softmax, dropout
std::vector<OpSchema> PoolOps();         // max_pool2d, adaptive_avg_pool2d, ...
std::vector<OpSchema> ShapeOps();        // placeholder, output, flatten, view, cat, size, ...

using Infos = absl::Span<const ValueInfo>;
using InfosOr = absl::StatusOr<std::vector<ValueInfo>>;

template <typename... Parts>
absl::Status ShapeError(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// The result has the first input's shape and type.
InfosOr SameAsInput(Infos inputs, const Attributes& attributes);

// `axis` counted from the front; an error when it is outside the rank.
absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank);

// Elements of a result or input.
inline int64_t Elements(const ValueInfo& info) { return info.shape.elements(); }

// Conventions of cost, as bits of CostRule::published.
inline constexpr uint32_t kMac = static_cast<uint32_t>(CostConvention::kMac);
inline constexpr uint32_t kFlop = static_cast<uint32_t>(CostConvention::kFlop);

// a * b, both >= 0, or the largest number where that is more: shapes of files may be absurd.
inline int64_t BoundedProduct(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<int64_t>::max() : product;
}

// One operation for each element of the first input, in all conventions.
CostRule PerElement(uint32_t published = 0);

// One result of the given shape with the first input's element type.
inline std::vector<ValueInfo> OneResult(Infos inputs, Shape shape) {
  return {ValueInfo{inputs[0].dtype, std::move(shape), std::nullopt}};
}

// Extent after a sliding window: floor((extent + 2 padding - dilation (kernel - 1) - 1) / stride) +
// 1, with ceil in place of floor if `ceil_mode` (a window must then start inside the input or its
// left padding). Negative for a window that does not fit.
int64_t WindowExtent(int64_t extent, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation, bool ceil_mode);

// Attributes of sliding windows hold one entry per spatial axis; checks count and range.
absl::Status CheckWindow(const Attributes& attributes, absl::string_view name, size_t axes,
                         int64_t minimum);

}  // namespace mase

#endif  // MASE_GRAPH_OP_TABLE_H_
