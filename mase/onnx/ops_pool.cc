// ONNX ops that make one number of several: pools and reductions.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

// One axis of a pooling as ONNX has it.
struct PoolAxis {
  int64_t extent, kernel, stride, before, after;
  bool ceil_mode;

  // Windows along the axis. With ceil_mode, one more where it begins inside the input or the
  // padding before it.
  int64_t count() const {
    const int64_t span = extent + before + after - kernel;
    if (span < 0) return -1;
    int64_t count = span / stride + 1;
    if (ceil_mode && span % stride != 0 && count * stride < extent + before) ++count;
    return count;
  }
  // Elements that the last window reaches beyond the padding.
  int64_t overhang() const {
    return std::max<int64_t>((count() - 1) * stride + kernel - (extent + before + after), 0);
  }
};

Attributes PoolAttributes(const Windows& windows, const Ints& padding, bool ceil_mode) {
  return {{"kernel_size", windows.kernel},
          {"stride", windows.stride},
          {"padding", padding},
          {"ceil_mode", ceil_mode}};
}

absl::Status Pool(OnnxNode& node, bool average) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, node.importer().ExtentsOf(x));
  const int axes = static_cast<int>(extents.size()) - 2;
  if (axes != 1 && axes != 2) {
    return CannotRead("has ", axes, " spatial axes; one or two can be read");
  }
  MASE_ASSIGN_OR_RETURN(const Ints kernel, node.Ints("kernel_shape", {}));
  MASE_ASSIGN_OR_RETURN(const Windows windows, WindowsOf(node, extents, kernel));
  MASE_ASSIGN_OR_RETURN(const bool ceil_mode, node.Int("ceil_mode", 0));
  MASE_ASSIGN_OR_RETURN(const bool counts_padding, node.Int("count_include_pad", 0));
  std::vector<PoolAxis> pool;
  bool plain = windows.same_on_both_sides();
  for (int axis = 0; axis < axes; ++axis) {
    if (windows.dilation[axis] != 1) return CannotRead("has dilated windows");
    if (!extents[axis + 2].fixed()) return CannotRead("runs along the rows");
    pool.push_back({extents[axis + 2].constant, windows.kernel[axis], windows.stride[axis],
                    windows.before[axis], windows.after[axis], ceil_mode});
    if (pool.back().count() < 1) return BadNode("its windows are larger than the input");
    plain &= 2 * windows.before[axis] <= windows.kernel[axis] && windows.before[axis] >= 0;
  }
  const absl::string_view op = average ? (axes == 2 ? ops::kAvgPool2d : ops::kAvgPool1d)
                                       : (axes == 2 ? ops::kMaxPool2d : ops::kMaxPool1d);
  if (plain) {
    Attributes attributes = PoolAttributes(windows, windows.before, ceil_mode);
    if (average) attributes.Set("count_include_pad", counts_padding);
    MASE_ASSIGN_OR_RETURN(Value * result, node.Add(op, {x}, std::move(attributes)));
    node.SetResult(result);
    return absl::OkStatus();
  }
  // Padding that the op does not have is laid around the input, and around what counts of it.
  std::vector<int64_t> around = {1, 1};
  for (const PoolAxis& axis : pool) {
    const int64_t padded = axis.extent + axis.before + axis.after + axis.overhang();
    around.push_back(std::max(padded, axis.extent));
  }
  MASE_RETURN_IF_ERROR(CheckCount(Shape(around)));
  Ints after = windows.after;
  for (int axis = 0; axis < axes; ++axis) after[axis] += pool[axis].overhang();
  const double outside = average ? 0 : -double{std::numeric_limits<float>::max()};
  MASE_ASSIGN_OR_RETURN(x, Padded(node, x, windows.before, after, outside));
  Attributes attributes = PoolAttributes(windows, Ints(axes, 0), false);
  if (average) attributes.Set("count_include_pad", true);
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(op, {x}, attributes));
  if (average) {
    // Divided by the share of each window that counts.
    Shape shape = {1, 1};
    for (const PoolAxis& axis : pool) {
      const int64_t padding = counts_padding ? axis.before + axis.after : 0;
      shape.push_back(axis.extent + padding);
    }
    const std::vector<float> ones(shape.elements(), 1);
    MASE_ASSIGN_OR_RETURN(Value * counted,
                          node.Constant("pool_counts", Tensor::FromValues<float>(shape, ones)));
    Ints left(axes), right(axes);
    for (int axis = 0; axis < axes; ++axis) {
      left[axis] = counts_padding ? 0 : windows.before[axis];
      right[axis] = counts_padding ? pool[axis].overhang() : after[axis];
    }
    MASE_ASSIGN_OR_RETURN(counted, Padded(node, counted, left, right, 0));
    MASE_ASSIGN_OR_RETURN(Value * share, node.Add(op, {counted}, attributes));
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kDiv, {result, share}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status MaxPool(OnnxNode& node) { return Pool(node, false); }
absl::Status AveragePool(OnnxNode& node) { return Pool(node, true); }

absl::Status GlobalPool(OnnxNode& node, bool average) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int rank = node.importer().RankOf(x);
  if (rank < 3) return BadNode("wants at least one spatial axis");
  Value* result = nullptr;
  if (rank <= 4) {
    const absl::string_view op =
        average ? (rank == 4 ? ops::kAdaptiveAvgPool2d : ops::kAdaptiveAvgPool1d)
                : (rank == 4 ? ops::kAdaptiveMaxPool2d : ops::kAdaptiveMaxPool1d);
    MASE_ASSIGN_OR_RETURN(result, node.Add(op, {x}, {{"output_size", Ints(rank - 2, 1)}}));
  } else {
    Ints dims;
    for (int axis = 2; axis < rank; ++axis) dims.push_back(axis);
    MASE_ASSIGN_OR_RETURN(result, node.Add(average ? ops::kMean : ops::kAmax, {x},
                                           {{"dims", dims}, {"keepdim", true}}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status GlobalAveragePool(OnnxNode& node) { return GlobalPool(node, true); }
absl::Status GlobalMaxPool(OnnxNode& node) { return GlobalPool(node, false); }

// The reduction that ends in one of our ops, of x itself, its magnitudes or its squares.
enum class Before { kNothing, kAbs, kSquare };
enum class After { kNothing, kSqrt, kLog };

// What a reduction runs along.
struct Reduction {
  Value* x;
  Ints dims;
  bool keep;
  Attributes attributes(bool kept) const { return {{"dims", dims}, {"keepdim", kept}}; }
};

absl::StatusOr<Reduction> ReductionOf(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int rank = node.importer().RankOf(x);
  MASE_ASSIGN_OR_RETURN(Ints dims, node.Ints("axes", {}));
  if (node.HasInput(1)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts axes, node.WholeNumbers(1));
    MASE_ASSIGN_OR_RETURN(dims, axes.Numbers());
  }
  MASE_ASSIGN_OR_RETURN(const bool keep, node.Int("keepdims", 1));
  MASE_ASSIGN_OR_RETURN(const bool empty_is_none, node.Int("noop_with_empty_axes", 0));
  for (int64_t& axis : dims) {
    MASE_ASSIGN_OR_RETURN(axis, AxisOf(axis, rank));
  }
  if (dims.empty() && !empty_is_none) {
    for (int axis = 0; axis < rank; ++axis) dims.push_back(axis);
  }
  return Reduction{x, std::move(dims), keep};
}

template <const absl::string_view& kOp, Before kBefore = Before::kNothing,
          After kAfter = After::kNothing>
absl::Status Reduce(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const Reduction along, ReductionOf(node));
  Value* x = along.x;
  if (kBefore == Before::kAbs) {
    MASE_ASSIGN_OR_RETURN(x, node.Add(ops::kAbs, {x}));
  } else if (kBefore == Before::kSquare) {
    MASE_ASSIGN_OR_RETURN(x, node.Add(ops::kMul, {x, x}));
  }
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(kOp, {x}, along.attributes(along.keep)));
  if (kAfter != After::kNothing) {
    MASE_ASSIGN_OR_RETURN(result,
                          node.Add(kAfter == After::kSqrt ? ops::kSqrt : ops::kLog, {result}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// log(sum(e^x)) = m + log(sum(e^(x - m))), m the largest x: what is e^0 does not overflow.
absl::Status ReduceLogSumExp(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const Reduction along, ReductionOf(node));
  // Without axes of extent 1 for the sum, with them beside x. Finite: inf - inf is no number.
  const auto largest = [&](bool kept) -> absl::StatusOr<Value*> {
    MASE_ASSIGN_OR_RETURN(Value * most, node.Add(ops::kAmax, {along.x}, along.attributes(kept)));
    const double end = std::numeric_limits<float>::max();
    return node.Add(ops::kHardtanh, {most}, {{"min_val", -end}, {"max_val", end}});
  };
  MASE_ASSIGN_OR_RETURN(Value * beside, largest(true));
  Value* added = beside;
  if (!along.keep) {
    MASE_ASSIGN_OR_RETURN(added, largest(false));
  }
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kSub, {along.x, beside}));
  MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kExp, {result}));
  MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kSum, {result}, along.attributes(along.keep)));
  MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kLog, {result}));
  MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kAdd, {result, added}));
  node.SetResult(result);
  return absl::OkStatus();
}

// The product of known whole numbers: how many elements a shape has.
absl::StatusOr<bool> FoldReduceProd(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(0));
  if (known.shape.rank() != 1) return CannotRead("takes a list alone");
  MASE_ASSIGN_OR_RETURN(const bool keep, node.Int("keepdims", 1));
  MASE_ASSIGN_OR_RETURN(const Extent product, Product(known.values));
  OnnxValue value;
  value.ints = KnownInts{keep ? Shape({1}) : Shape(), {product}, known.type};
  node.SetResult(0, std::move(value));
  return true;
}

}  // namespace

std::vector<OnnxOp> OnnxPoolOps() {
  return {
      {.name = "MaxPool",
       .becomes = "max_pool1d, max_pool2d, with pad",
       .limits = "one or two spatial axes; no dilations; the first result",
       .import = MaxPool,
       .keeps_rounding = true},
      {.name = "AveragePool",
       .becomes = "avg_pool1d, avg_pool2d, with pad and div",
       .limits = "one or two spatial axes; no dilations",
       .import = AveragePool},
      {.name = "GlobalAveragePool",
       .becomes = "adaptive_avg_pool1d, adaptive_avg_pool2d, mean",
       .import = GlobalAveragePool},
      {.name = "GlobalMaxPool",
       .becomes = "adaptive_max_pool1d, adaptive_max_pool2d, amax",
       .import = GlobalMaxPool,
       .keeps_rounding = true},
      {.name = "ReduceMean", .becomes = ops::kMean, .import = Reduce<ops::kMean>},
      {.name = "ReduceSum", .becomes = ops::kSum, .import = Reduce<ops::kSum>},
      {.name = "ReduceMax", .becomes = ops::kAmax, .import = Reduce<ops::kAmax>},
      {.name = "ReduceMin", .becomes = ops::kAmin, .import = Reduce<ops::kAmin>},
      {.name = "ReduceL1", .becomes = "abs, sum", .import = Reduce<ops::kSum, Before::kAbs>},
      {.name = "ReduceL2",
       .becomes = "mul, sum, sqrt",
       .import = Reduce<ops::kSum, Before::kSquare, After::kSqrt>},
      {.name = "ReduceSumSquare",
       .becomes = "mul, sum",
       .import = Reduce<ops::kSum, Before::kSquare>},
      {.name = "ReduceLogSum",
       .becomes = "sum, log",
       .import = Reduce<ops::kSum, Before::kNothing, After::kLog>},
      {.name = "ReduceLogSumExp",
       .becomes = "amax, hardtanh, sub, exp, sum, log, add",
       .import = ReduceLogSumExp},
      {.name = "ReduceProd",
       .becomes = "a constant",
       .limits = "of shapes",
       .fold = FoldReduceProd},
  };
}

absl::StatusOr<Windows> WindowsOf(const OnnxNode& node, const std::vector<Extent>& extents,
                                  std::vector<int64_t> kernel) {
  const size_t axes = extents.size() - 2;
  Windows windows = {std::move(kernel), {}, {}, Ints(axes, 0), Ints(axes, 0)};
  MASE_ASSIGN_OR_RETURN(windows.stride, node.Ints("strides", Ints(axes, 1)));
  MASE_ASSIGN_OR_RETURN(windows.dilation, node.Ints("dilations", Ints(axes, 1)));
  MASE_ASSIGN_OR_RETURN(const Ints pads, node.Ints("pads", Ints(2 * axes, 0)));
  MASE_ASSIGN_OR_RETURN(const Ints said, node.Ints("kernel_shape", windows.kernel));
  MASE_ASSIGN_OR_RETURN(const std::string auto_pad, node.String("auto_pad", "NOTSET"));
  if (said != windows.kernel) return BadNode("kernel_shape is not that of the weights");
  const bool counts = windows.kernel.size() == axes && windows.stride.size() == axes &&
                      windows.dilation.size() == axes && pads.size() == 2 * axes;
  if (!counts) return BadNode("kernel, strides, dilations want ", axes, " entries, pads 2 each");
  constexpr int64_t kMost = 1 << 24;
  for (size_t axis = 0; axis < axes; ++axis) {
    for (const int64_t size :
         {windows.kernel[axis], windows.stride[axis], windows.dilation[axis]}) {
      if (size < 1 || size > kMost) return BadNode("a window of ", size);
    }
    for (const int64_t pad : {pads[axis], pads[axis + axes]}) {
      if (pad < -kMost || pad > kMost) return BadNode("a padding of ", pad);
    }
    if (auto_pad == "NOTSET") {
      windows.before[axis] = pads[axis];
      windows.after[axis] = pads[axis + axes];
    } else if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      if (!extents[axis + 2].fixed()) return CannotRead("runs along the rows");
      const int64_t extent = extents[axis + 2].constant, stride = windows.stride[axis];
      const int64_t count = (extent + stride - 1) / stride;
      const int64_t span =
          (count - 1) * stride + (windows.kernel[axis] - 1) * windows.dilation[axis] + 1;
      const int64_t total = std::max<int64_t>(span - extent, 0);
      windows.before[axis] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      windows.after[axis] = total - windows.before[axis];
    } else if (auto_pad != "VALID") {
      return BadNode("auto_pad='", auto_pad, "'");
    }
  }
  return windows;
}

absl::StatusOr<Value*> Padded(OnnxNode& node, Value* x, const std::vector<int64_t>& before,
                              const std::vector<int64_t>& after, double value) {
  const auto is_zero = [](int64_t pad) { return pad == 0; };
  if (std::all_of(before.begin(), before.end(), is_zero) &&
      std::all_of(after.begin(), after.end(), is_zero)) {
    return x;
  }
  const int leading = node.importer().RankOf(x) - static_cast<int>(before.size());
  Ints all_before(leading, 0), all_after(leading, 0);
  all_before.insert(all_before.end(), before.begin(), before.end());
  all_after.insert(all_after.end(), after.begin(), after.end());
  return node.Add(ops::kPad, {x}, {{"before", all_before}, {"after", all_after}, {"value", value}});
}

}  // namespace mase
