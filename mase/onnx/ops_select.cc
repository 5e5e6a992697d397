// ONNX ops that choose elements, or join them.
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

absl::Status Concat(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t axis, node.Int("axis", 1));
  return node.Become(ops::kCat, {{"dim", axis}});
}

absl::StatusOr<Value*> AddSlice(OnnxNode& node, Value* x, int64_t axis, int64_t start, int64_t end,
                                int64_t step) {
  return node.Add(ops::kSlice, {x},
                  {{"dim", axis}, {"start", start}, {"end", end}, {"step", step}});
}

absl::Status Split(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const int64_t given, node.Int("axis", 0));
  MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(given, static_cast<int>(extents.size())));
  MASE_ASSIGN_OR_RETURN(Ints sizes, IntsOf(node, "split", 1));
  if (!extents[axis].fixed()) return CannotRead("splits the rows");
  const int64_t extent = extents[axis].constant, parts = node.proto().output_size();
  if (sizes.empty()) {
    // All alike but for the last, which is what remains.
    const int64_t size = (extent + parts - 1) / parts;
    sizes.assign(parts, size);
    sizes.back() = extent - size * (parts - 1);
  }
  if (static_cast<int64_t>(sizes.size()) != parts) return BadNode("has ", parts, " results");
  int64_t start = 0;
  for (int64_t i = 0; i < parts; ++i) {
    if (sizes[i] < 0 || sizes[i] > extent - start) {
      return BadNode("splits an axis of ", extent, " into more");
    }
    MASE_ASSIGN_OR_RETURN(Value * part, AddSlice(node, x, axis, start, start + sizes[i], 1));
    node.SetResult(static_cast<int>(i), {.value = part});
    start += sizes[i];
  }
  if (start != extent) return BadNode("splits an axis of ", extent, " into ", start);
  return absl::OkStatus();
}

absl::Status Slice(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  std::vector<Extent> starts, ends;
  if (node.HasInput(1)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts first, node.WholeNumbers(1));
    MASE_ASSIGN_OR_RETURN(const KnownInts last, node.WholeNumbers(2));
    starts = first.values;
    ends = last.values;
  } else {
    MASE_ASSIGN_OR_RETURN(const Ints first, node.Ints("starts", {}));
    MASE_ASSIGN_OR_RETURN(const Ints last, node.Ints("ends", {}));
    for (const int64_t start : first) starts.push_back({start});
    for (const int64_t end : last) ends.push_back({end});
  }
  Ints all(starts.size());
  std::iota(all.begin(), all.end(), 0);
  MASE_ASSIGN_OR_RETURN(Ints axes, IntsOf(node, "axes", 3));
  if (axes.empty()) axes = all;
  Ints steps(starts.size(), 1);
  if (node.HasInput(4)) {
    MASE_ASSIGN_OR_RETURN(steps, IntsOf(node, "steps", 4));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return BadNode("starts, ends, axes and steps are of different lengths");
  }
  Value* result = x;
  for (size_t i = 0; i < starts.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(axes[i], static_cast<int>(extents.size())));
    if (!ends[i].fixed() && ends[i] == extents[axis]) {
      ends[i] = {std::numeric_limits<int64_t>::max()};
    }
    if (!starts[i].fixed() || !ends[i].fixed()) {
      return CannotRead("begins or ends at ", starts[i].ToString(), ", ", ends[i].ToString());
    }
    const int64_t start = starts[i].constant, end = ends[i].constant;
    const bool whole = start == 0 && steps[i] == 1 && extents[axis].fixed()
                           ? end >= extents[axis].constant
                           : start == 0 && steps[i] == 1 && end >= (int64_t{1} << 31) - 1;
    if (whole) continue;
    MASE_ASSIGN_OR_RETURN(result, AddSlice(node, result, axis, start, end, steps[i]));
  }
  if (result == x) {
    node.SetResult(0, OnnxValue(*node.Input(0)));
    return absl::OkStatus();
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// x where one axis is the listed elements of it.
absl::StatusOr<Value*> Select(OnnxNode& node, Value* x, int64_t axis, Ints index) {
  return node.Add(ops::kIndexSelect, {x}, {{"dim", axis}, {"index", std::move(index)}});
}

absl::Status Gather(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t given, node.Int("axis", 0));
  const OnnxValue* indices = node.Input(1);
  if (indices == nullptr) return BadNode("has no indices");
  if (!indices->known()) {
    // Ids: rows of a table.
    MASE_ASSIGN_OR_RETURN(Tensor table, node.Floats(0));
    MASE_ASSIGN_OR_RETURN(Value * ids, node.ValueOf(1));
    if (table.shape().rank() != 2 || (given != 0 && given != -2)) {
      return CannotRead("looks up ids in a table of shape ", table.shape().ToString(), " on axis ",
                        given, "; rows of a matrix can be read");
    }
    const bool named = node.importer().file().FindInitializer(node.InputName(0)) != nullptr;
    const Attributes attributes = {{"num_embeddings", table.shape()[0]},
                                   {"embedding_dim", table.shape()[1]}};
    std::vector<OwnTensor> own = {{"weight", std::move(table), named ? node.InputName(0) : ""}};
    MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kEmbedding, {ids}, attributes, own));
    node.SetResult(result);
    return absl::OkStatus();
  }
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(given, static_cast<int>(extents.size())));
  MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(Ints index, known.Numbers());
  if (!extents[axis].fixed()) return CannotRead("chooses among the rows");
  for (int64_t& i : index) {
    if (i < -extents[axis].constant || i >= extents[axis].constant) {
      return BadNode("index ", i, " is outside an axis of ", extents[axis].ToString());
    }
    if (i < 0) i += extents[axis].constant;
  }
  MASE_ASSIGN_OR_RETURN(Value * result, Select(node, x, axis, std::move(index)));
  if (known.shape.rank() != 1) {
    std::vector<Extent> to(extents.begin(), extents.begin() + axis);
    for (const int64_t extent : known.shape.dims()) to.push_back({extent});
    to.insert(to.end(), extents.begin() + axis + 1, extents.end());
    MASE_ASSIGN_OR_RETURN(result, node.View(result, to));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Tile(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const KnownInts wanted, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(const Ints repeats, wanted.Numbers());
  if (repeats.size() != extents.size()) return BadNode("has ", repeats.size(), " repeats");
  Value* result = x;
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    if (repeats[axis] == 1) continue;
    constexpr int64_t kMost = 1 << 24;
    if (!extents[axis].fixed()) return CannotRead("repeats the rows");
    if (repeats[axis] < 0 || repeats[axis] > kMost ||
        extents[axis].constant * repeats[axis] > kMost) {
      return BadNode("repeats an axis ", repeats[axis], " times");
    }
    Ints index;
    for (int64_t i = 0; i < extents[axis].constant * repeats[axis]; ++i) {
      index.push_back(i % extents[axis].constant);
    }
    MASE_ASSIGN_OR_RETURN(result, Select(node, result, static_cast<int64_t>(axis), index));
  }
  if (result == x) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kIdentity, {x}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// Which element of an axis of `in` element i of one of `out` is, with `scale` of them for each.
absl::StatusOr<int64_t> NearestIndex(int64_t i, int64_t in, int64_t out, double scale,
                                     const std::string& coordinates, const std::string& nearest) {
  const double at = static_cast<double>(i);
  double x = 0;
  if (coordinates == "half_pixel" || (coordinates == "pytorch_half_pixel" && out > 1)) {
    x = (at + 0.5) / scale - 0.5;
  } else if (coordinates == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(out) / (scale * static_cast<double>(in));
    const double center = static_cast<double>(in) / 2;
    x = center * (1 - adjustment) + (at + 0.5) / scale - 0.5;
  } else if (coordinates == "align_corners") {
    x = out > 1 ? at * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  } else if (coordinates == "asymmetric") {
    x = at / scale;
  } else if (coordinates != "pytorch_half_pixel") {
    return CannotRead("coordinate_transformation_mode='", coordinates, "'");
  }
  if (nearest == "round_prefer_floor") {
    x = std::ceil(x - 0.5);
  } else if (nearest == "round_prefer_ceil") {
    x = std::floor(x + 0.5);
  } else if (nearest == "floor") {
    x = std::floor(x);
  } else if (nearest == "ceil") {
    x = std::ceil(x);
  } else {
    return CannotRead("nearest_mode='", nearest, "'");
  }
  return std::clamp<int64_t>(static_cast<int64_t>(x), 0, in - 1);
}

absl::Status Resize(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  const int rank = static_cast<int>(extents.size());
  MASE_ASSIGN_OR_RETURN(const std::string mode, node.String("mode", "nearest"));
  MASE_ASSIGN_OR_RETURN(const std::string policy,
                        node.String("keep_aspect_ratio_policy", "stretch"));
  if (mode != "nearest") return CannotRead("mode='", mode, "'; nearest can be read");
  const bool keeps_ratio = policy == "not_larger" || policy == "not_smaller";
  if (policy != "stretch" && !keeps_ratio) {
    return CannotRead("keep_aspect_ratio_policy='", policy, "'");
  }
  const bool old = node.opset() < 11;
  MASE_ASSIGN_OR_RETURN(
      const std::string coordinates,
      node.String("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"));
  MASE_ASSIGN_OR_RETURN(const std::string nearest,
                        node.String("nearest_mode", old ? "floor" : "round_prefer_floor"));
  Ints axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  MASE_ASSIGN_OR_RETURN(axes, node.Ints("axes", axes));
  std::vector<double> scales;
  Ints sizes;
  if (node.opset() < 9) {
    for (const auto& attribute : node.proto().attribute()) {
      if (attribute.name() == "scales") {
        scales.assign(attribute.floats().begin(), attribute.floats().end());
      }
    }
  } else if (const int input = old ? 1 : 2; node.HasInput(input)) {
    MASE_ASSIGN_OR_RETURN(const Tensor given, node.Floats(input));
    for (const float scale : given.data<float>()) scales.push_back(scale);
  }
  std::vector<Extent> wanted;
  if (scales.empty() && node.HasInput(3)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts given, node.WholeNumbers(3));
    wanted = given.values;
  }
  if (scales.size() + wanted.size() != axes.size()) {
    return BadNode("wants ", axes.size(), " scales or sizes");
  }
  const bool one_scale =
      scales.empty() && keeps_ratio;  // The smallest or largest that is asked for.
  for (size_t k = 0; one_scale && k < axes.size(); ++k) {
    MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(axes[k], rank));
    if (!extents[axis].fixed() || !wanted[k].fixed() || extents[axis].constant < 1) {
      return CannotRead("keep_aspect_ratio_policy='", policy, "' of what has no fixed size");
    }
    const double scale =
        static_cast<double>(wanted[k].constant) / static_cast<double>(extents[axis].constant);
    if (k == 0) scales.assign(axes.size(), scale);
    const bool better = policy == "not_larger" ? scale < scales[0] : scale > scales[0];
    if (better) scales.assign(axes.size(), scale);
  }
  Value* result = x;
  for (size_t k = 0; k < axes.size(); ++k) {
    MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(axes[k], rank));
    const bool same = scales.empty() ? wanted[k] == extents[axis] ||
                                           (!extents[axis].fixed() && wanted[k].fixed() &&
                                            wanted[k].constant == node.importer().file_rows())
                                     : scales[k] == 1;
    if (same) continue;
    if (!extents[axis].fixed()) return CannotRead("changes the number of rows");
    const int64_t in = extents[axis].constant;
    const double size =
        scales.empty() ? static_cast<double>(wanted[k].constant)
                       : std::floor(static_cast<double>(in) * scales[k] + (one_scale ? 0.5 : 0));
    if (!(size >= 1 && size <= (1 << 20)) || in < 1) return BadNode("a result of ", size);
    const int64_t out = static_cast<int64_t>(size);
    const double scale = scales.empty() ? size / static_cast<double>(in) : scales[k];
    Ints index(out);
    for (int64_t i = 0; i < out; ++i) {
      MASE_ASSIGN_OR_RETURN(index[i], NearestIndex(i, in, out, scale, coordinates, nearest));
    }
    MASE_ASSIGN_OR_RETURN(result, Select(node, result, axis, std::move(index)));
  }
  if (result == x) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kIdentity, {x}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// The upper or lower triangle of matrices; 0 elsewhere.
absl::Status Trilu(OnnxNode& node) {
  Value* x = nullptr;
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOfInput(node, &x));
  MASE_ASSIGN_OR_RETURN(const int64_t upper, node.Int("upper", 1));
  int64_t diagonal = 0;
  if (node.HasInput(1)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(1));
    MASE_ASSIGN_OR_RETURN(const Ints numbers, known.Numbers());
    if (numbers.size() != 1) return BadNode("wants one diagonal");
    diagonal = numbers[0];
  }
  const size_t rank = extents.size();
  if (rank < 2 || !extents[rank - 1].fixed() || !extents[rank - 2].fixed()) {
    return CannotRead("wants matrices of fixed size");
  }
  const Shape shape = {extents[rank - 2].constant, extents[rank - 1].constant};
  MASE_RETURN_IF_ERROR(shape.Validate());
  if (shape.elements() > (1 << 24)) return BadNode("a triangle of ", shape.ToString());
  std::vector<float> mask;
  for (int64_t row = 0; row < shape[0]; ++row) {
    for (int64_t column = 0; column < shape[1]; ++column) {
      mask.push_back(upper != 0 ? column >= row + diagonal : column <= row + diagonal);
    }
  }
  MASE_ASSIGN_OR_RETURN(Value * inside,
                        node.Constant("triangle", Tensor::FromValues<float>(shape, mask)));
  MASE_ASSIGN_OR_RETURN(Value * zero, node.Number(0));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kWhere, {inside, x, zero}));
  node.SetResult(result);
  return absl::OkStatus();
}

}  // namespace

std::vector<OnnxOp> OnnxSelectOps() {
  return {
      {.name = "Concat",
       .becomes = ops::kCat,
       .import = Concat,
       .moves = std::numeric_limits<int>::max()},
      Mover("Split", ops::kSlice, Split, "not along the rows"),
      Mover("Slice", ops::kSlice, Slice, "constant ends"),
      Mover("Gather", "index_select, view, embedding", Gather,
            "constant indices, or ids into a constant matrix"),
      Mover("Tile", ops::kIndexSelect, Tile, "not along the rows"),
      Mover("Resize", ops::kIndexSelect, Resize, "mode nearest; constant scales or sizes"),
      Mover("Upsample", ops::kIndexSelect, Resize, "mode nearest; constant scales"),
      {.name = "Trilu", .becomes = ops::kWhere, .limits = "a constant diagonal", .import = Trilu},
  };
}

}  // namespace mase
