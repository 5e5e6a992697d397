// ONNX ops that change shapes, and the order of axes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

absl::Status SetView(OnnxNode& node, Value* x, const std::vector<Extent>& extents) {
  MASE_ASSIGN_OR_RETURN(Value * result, node.View(x, extents));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Flatten(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(int64_t axis, node.Int("axis", 1));
  const int64_t rank = static_cast<int64_t>(extents.size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) return BadNode("axis ", axis, " is outside rank ", rank);
  if (axis == 1 && rank > 1) {
    MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kFlatten, {x}));
    node.SetResult(result);
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(const Extent rows, Product({extents.begin(), extents.begin() + axis}));
  MASE_ASSIGN_OR_RETURN(const Extent width, Product({extents.begin() + axis, extents.end()}));
  return SetView(node, x, {rows, width});
}

// Whether the extents have as many elements as `elements`, for any number of rows.
bool Holds(const std::vector<Extent>& extents, const Extent& elements) {
  const absl::StatusOr<Extent> product = Product(extents);
  return product.ok() && *product == elements;
}

absl::Status Reshape(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> from, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const KnownInts wanted, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(const int64_t zero_is_zero, node.Int("allowzero", 0));
  std::vector<Extent> to = wanted.values;
  int open = -1;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == Extent{0} && zero_is_zero == 0) {
      if (i >= from.size()) return BadNode("copies axis ", i, ", which the input has not");
      to[i] = from[i];
    } else if (to[i] == Extent{-1}) {
      if (open >= 0) return BadNode("leaves two axes open (-1)");
      open = static_cast<int>(i);
    }
  }
  MASE_ASSIGN_OR_RETURN(const Extent elements, Product(from));
  // A file with a fixed number of rows has that number where the rows are meant.
  const int64_t rows = node.importer().file_rows();
  const bool fixed =
      std::all_of(to.begin(), to.end(), [](const Extent& extent) { return extent.fixed(); });
  if (fixed && !elements.fixed() && rows > 0) {
    for (size_t i = 0; i < to.size(); ++i) {
      if (to[i].constant <= 0 || to[i].constant % rows != 0) continue;
      std::vector<Extent> tried = to;
      tried[i] = {0, to[i].constant / rows};
      if (open >= 0 && (i != 0 || to[i].constant != rows)) continue;
      if (open < 0 && !Holds(tried, elements)) continue;
      to = std::move(tried);
      break;
    }
  }
  if (open >= 0) {
    to[open] = {1};
    MASE_ASSIGN_OR_RETURN(const Extent given, Product(to));
    MASE_ASSIGN_OR_RETURN(to[open], Divide(elements, given));
  }
  if (!Holds(to, elements)) {
    return BadNode("has ", elements.ToString(), " elements, and its new shape ",
                   Product(to).ok() ? Product(to)->ToString() : "others");
  }
  return SetView(node, x, to);
}

absl::Status Squeeze(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> from, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(Ints axes, IntsOf(node, "axes", 1));
  const int rank = static_cast<int>(from.size());
  std::vector<bool> taken(rank, false);
  for (const int64_t axis : axes) {
    MASE_ASSIGN_OR_RETURN(const int at, AxisOf(axis, rank));
    if (from[at] != Extent{1}) return BadNode("axis ", at, " has extent ", from[at].ToString());
    taken[at] = true;
  }
  std::vector<Extent> to;
  for (int axis = 0; axis < rank; ++axis) {
    if (axes.empty() && !from[axis].fixed() && node.importer().file_rows() == 1) {
      return CannotRead("takes away all axes of extent 1, that of the rows among them");
    }
    if (axes.empty() ? from[axis] != Extent{1} : !taken[axis]) to.push_back(from[axis]);
  }
  return SetView(node, x, to);
}

absl::Status Unsqueeze(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> from, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const Ints axes, IntsOf(node, "axes", 1));
  const int rank = static_cast<int>(from.size() + axes.size());
  if (rank > 64) return BadNode("has ", rank, " axes");
  std::vector<bool> is_new(rank, false);
  for (const int64_t axis : axes) {
    MASE_ASSIGN_OR_RETURN(const int at, AxisOf(axis, rank));
    if (is_new[at]) return BadNode("axis ", at, " is there twice");
    is_new[at] = true;
  }
  std::vector<Extent> to;
  size_t next = 0;
  for (int axis = 0; axis < rank; ++axis) to.push_back(is_new[axis] ? Extent{1} : from[next++]);
  return SetView(node, x, to);
}

absl::Status Transpose(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  Ints reversed(node.importer().RankOf(x));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  MASE_ASSIGN_OR_RETURN(const Ints dims, node.Ints("perm", reversed));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kPermute, {x}, {{"dims", dims}}));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Expand(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(const KnownInts wanted, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(Value * result, Expanded(node, x, wanted.values));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Pad(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int rank = node.importer().RankOf(x);
  MASE_ASSIGN_OR_RETURN(std::string mode, node.String("mode", "constant"));
  MASE_ASSIGN_OR_RETURN(double value, node.Float("value", 0));
  MASE_ASSIGN_OR_RETURN(const Ints pads, IntsOf(node, "pads", 1));
  if (node.HasInput(2)) {
    MASE_ASSIGN_OR_RETURN(const Tensor given, node.Floats(2));
    if (given.elements() != 1) return BadNode("the value to pad with is no single number");
    value = given.data<float>()[0];
  }
  Ints axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (node.HasInput(3)) {
    MASE_ASSIGN_OR_RETURN(axes, IntsOf(node, "axes", 3));
  }
  if (pads.size() != 2 * axes.size()) return BadNode("wants ", 2 * axes.size(), " pads");
  Ints before(rank, 0), after(rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(axes[i], rank));
    before[axis] = pads[i];
    after[axis] = pads[i + axes.size()];
  }
  if (mode == "edge") mode = "replicate";
  if (mode == "wrap") mode = "circular";
  MASE_ASSIGN_OR_RETURN(
      Value * result,
      node.Add(ops::kPad, {x},
               {{"before", before}, {"after", after}, {"mode", mode}, {"value", value}}));
  node.SetResult(result);
  return absl::OkStatus();
}

// Blocks of channels become blocks of pixels, or the reverse.
absl::Status MoveBlocks(OnnxNode& node, bool to_space) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> e, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const int64_t size, node.Int("blocksize", 0));
  MASE_ASSIGN_OR_RETURN(const std::string mode, node.String("mode", "DCR"));
  if (e.size() != 4 || size < 1 || size > (1 << 15)) return BadNode("wants images and a blocksize");
  const Extent block = {size};
  std::vector<Extent> split, joined;
  Ints dims;
  if (to_space) {
    MASE_ASSIGN_OR_RETURN(const Extent channels, Divide(e[1], {size * size}));
    MASE_ASSIGN_OR_RETURN(const Extent height, Multiply(e[2], block));
    MASE_ASSIGN_OR_RETURN(const Extent width, Multiply(e[3], block));
    const bool depth_first = mode == "DCR";
    split = depth_first ? std::vector<Extent>{e[0], block, block, channels, e[2], e[3]}
                        : std::vector<Extent>{e[0], channels, block, block, e[2], e[3]};
    dims = depth_first ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3};
    joined = {e[0], channels, height, width};
  } else {
    MASE_ASSIGN_OR_RETURN(const Extent height, Divide(e[2], block));
    MASE_ASSIGN_OR_RETURN(const Extent width, Divide(e[3], block));
    MASE_ASSIGN_OR_RETURN(const Extent channels, Multiply(e[1], {size * size}));
    split = {e[0], e[1], height, block, width, block};
    dims = {0, 3, 5, 1, 2, 4};
    joined = {e[0], channels, height, width};
  }
  MASE_ASSIGN_OR_RETURN(Value * parts, node.View(x, split));
  MASE_ASSIGN_OR_RETURN(Value * moved, node.Add(ops::kPermute, {parts}, {{"dims", dims}}));
  return SetView(node, moved, joined);
}

absl::Status DepthToSpace(OnnxNode& node) { return MoveBlocks(node, true); }
absl::Status SpaceToDepth(OnnxNode& node) { return MoveBlocks(node, false); }

// scikit-learn's probabilities, by column.
absl::Status ZipMap(OnnxNode& node) {
  if (node.Input(0) == nullptr) return BadNode("has no input");
  node.SetResult(0, OnnxValue(*node.Input(0)));
  return absl::OkStatus();
}

}  // namespace

OnnxOp Mover(absl::string_view name, absl::string_view becomes,
             absl::Status (*import)(OnnxNode& node), absl::string_view limits) {
  return {.name = name,
          .becomes = becomes,
          .limits = limits,
          .import = import,
          .moves = 1,
          .keeps_rounding = true};
}

absl::StatusOr<std::vector<Extent>> ExtentsOfInput(OnnxNode& node, Value** x) {
  MASE_ASSIGN_OR_RETURN(*x, node.ValueOf(0));
  return node.importer().ExtentsOf(*x);
}

// An attribute of earlier opsets that became an input.
absl::StatusOr<std::vector<int64_t>> IntsOf(OnnxNode& node, absl::string_view attribute,
                                            int input) {
  if (!node.HasInput(input)) return node.Ints(attribute, {});
  MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(input));
  return known.Numbers();
}

absl::StatusOr<Value*> Expanded(OnnxNode& node, Value* x, const std::vector<Extent>& extents) {
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> from, node.importer().ExtentsOf(x));
  const size_t rank = std::max(from.size(), extents.size());
  Ints shape;
  std::vector<Value*> inputs = {x};
  bool changes = rank != from.size();
  for (size_t i = 0; i < rank; ++i) {
    const bool has_own = i >= rank - from.size(), has_wanted = i >= rank - extents.size();
    const Extent own = has_own ? from[i - (rank - from.size())] : Extent{1};
    const Extent wanted = has_wanted ? extents[i - (rank - extents.size())] : Extent{1};
    // One row of a file with a fixed number of them is as good as any.
    if (wanted == own || wanted == Extent{1} ||
        (!own.fixed() && wanted == Extent{node.importer().file_rows()})) {
      shape.push_back(has_own ? -1 : 1);
      continue;
    }
    changes = true;
    if (wanted.fixed()) {
      shape.push_back(wanted.constant);
      continue;
    }
    shape.push_back(-2);  // The next input's.
    MASE_ASSIGN_OR_RETURN(Value * size, node.importer().SizeOf(wanted));
    inputs.push_back(size);
  }
  if (!changes) return node.Add(ops::kIdentity, {x});
  return node.Add(ops::kExpand, std::move(inputs), {{"shape", shape}});
}

std::vector<OnnxOp> OnnxShapeOps() {
  constexpr absl::string_view kKnownShape = "a shape of constants and shapes";
  return {
      Mover("Flatten", "flatten, view", Flatten),
      Mover("Reshape", ops::kView, Reshape, kKnownShape),
      Mover("Squeeze", ops::kView, Squeeze),
      Mover("Unsqueeze", ops::kView, Unsqueeze),
      Mover("Transpose", ops::kPermute, Transpose),
      Mover("Expand", ops::kExpand, Expand, kKnownShape),
      {.name = "Pad", .becomes = ops::kPad, .limits = "constant pads", .import = Pad},
      Mover("DepthToSpace", "view, permute", DepthToSpace),
      Mover("SpaceToDepth", "view, permute", SpaceToDepth),
      {.name = "ZipMap",
       .becomes = "nothing",
       .limits = "a result: its columns are the classes",
       .import = ZipMap,
       .keeps_rounding = true,
       .domain = "ai.onnx.ml"},
  };
}

}  // namespace mase
