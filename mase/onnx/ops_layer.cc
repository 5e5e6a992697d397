// ONNX ops that are layers with weights: products, convolutions, norms.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"
#include "mase/onnx/rounding.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

// Numbers times a factor.
Tensor Scaled(Tensor tensor, double factor) {
  if (factor == 1) return tensor;
  for (float& number : tensor.mutable_data<float>()) number *= static_cast<float>(factor);
  return tensor;
}

// `tensor` as one number for each of `count` outputs, if it is that or broadcasts to it.
std::optional<Tensor> PerOutput(const Tensor& tensor, int64_t count) {
  const Shape& shape = tensor.shape();
  if (tensor.elements() == 1) {
    return Tensor::FromValues<float>({count}, std::vector<float>(count, tensor.data<float>()[0]));
  }
  if (tensor.elements() != count || shape[-1] != count) return std::nullopt;
  return tensor.Reshape({count});
}

// Input i of the node where that is an initializer of the file.
std::string InitializerName(OnnxNode& node, int i) {
  const bool is_one = node.importer().file().FindInitializer(node.InputName(i)) != nullptr;
  return is_one ? node.InputName(i) : "";
}

// Has the node that makes `result` round its weight as DequantizeLinear marked it.
absl::Status RoundWeight(OnnxNode& node, int i, Value* result, bool transposed) {
  const OnnxValue* weight = node.Input(i);
  if (!weight->rounded.has_value()) return absl::OkStatus();
  FormatProto format = *weight->rounded;
  if (!format.has_affine()) transposed = false;  // It has no blocks.
  auto* blocks = transposed ? format.mutable_affine()->mutable_block_size() : nullptr;
  if (transposed && !blocks->empty() && std::count(blocks->begin(), blocks->end(), -1) == 0) {
    return CannotRead("has a weight with scales for blocks along its inputs, transposed");
  }
  if (transposed) std::reverse(blocks->begin(), blocks->end());
  return RoundOperand(node.importer().graph(), result->producer(), operands::kWeight, format);
}

absl::Status Gemm(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 1));
  MASE_ASSIGN_OR_RETURN(const double beta, node.Float("beta", 1));
  MASE_ASSIGN_OR_RETURN(const int64_t trans_a, node.Int("transA", 0));
  MASE_ASSIGN_OR_RETURN(const int64_t trans_b, node.Int("transB", 0));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  if (node.importer().RankOf(x) != 2) return BadNode("wants a matrix");
  if (trans_a != 0) {
    MASE_ASSIGN_OR_RETURN(
        x, node.Add(ops::kTranspose, {x}, {{"dim0", int64_t{0}}, {"dim1", int64_t{1}}}));
  }
  const Tensor* c = node.HasInput(2) ? node.KnownFloats(2) : nullptr;
  Value* result = nullptr;
  bool added = false;
  if (const Tensor* b = node.KnownFloats(1); b != nullptr) {
    if (b->shape().rank() != 2) return BadNode("weights of shape ", b->shape().ToString());
    const int64_t outputs = b->shape()[trans_b != 0 ? 0 : 1];
    std::optional<Tensor> bias;
    if (c != nullptr) bias = PerOutput(Scaled(*c, beta), outputs);
    added = bias.has_value();
    MASE_ASSIGN_OR_RETURN(
        result, AddLinear(node, x, Scaled(trans_b != 0 ? *b : Transposed(*b), alpha), bias,
                          alpha == 1 ? InitializerName(node, 1) : ""));
    MASE_RETURN_IF_ERROR(RoundWeight(node, 1, result, trans_b == 0));
  } else {
    MASE_ASSIGN_OR_RETURN(Value * y, node.ValueOf(1));
    if (trans_b != 0) {
      MASE_ASSIGN_OR_RETURN(
          y, node.Add(ops::kTranspose, {y}, {{"dim0", int64_t{0}}, {"dim1", int64_t{1}}}));
    }
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kMatmul, {x, y}));
    if (alpha != 1) {
      MASE_ASSIGN_OR_RETURN(Value * factor, node.Number(alpha));
      MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kMul, {result, factor}));
    }
  }
  if (node.HasInput(2) && !added && beta != 0) {
    MASE_ASSIGN_OR_RETURN(Value * offset, node.ValueOf(2));
    if (beta != 1) {
      MASE_ASSIGN_OR_RETURN(Value * factor, node.Number(beta));
      MASE_ASSIGN_OR_RETURN(offset, node.Add(ops::kMul, {offset, factor}));
    }
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kAdd, {result, offset}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// A product with a stored matrix is a layer; an Add of stored numbers right behind it is its bias.
absl::Status MatMul(OnnxNode& node) {
  const Tensor* weight = node.KnownFloats(1);
  const bool is_layer = weight != nullptr && weight->shape().rank() == 2 &&
                        node.Input(0) != nullptr && !node.Input(0)->known();
  if (!is_layer) return node.Become(ops::kMatmul);
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int64_t outputs = weight->shape()[1];
  std::optional<Tensor> bias;
  const ::onnx::NodeProto* reader = node.importer().OnlyReader(node.proto().output(0));
  if (reader != nullptr && reader->op_type() == "Add" && reader->domain().empty() &&
      reader->input_size() == 2 && reader->output_size() == 1) {
    const std::string& other = reader->input(reader->input(0) == node.proto().output(0) ? 1 : 0);
    if (const Tensor* numbers = node.importer().KnownNow(other);
        numbers != nullptr && numbers->elements() == outputs && numbers->shape().rank() >= 1 &&
        numbers->shape().rank() <= node.importer().RankOf(x)) {
      bias = PerOutput(*numbers, outputs);
    }
  }
  MASE_ASSIGN_OR_RETURN(Value * result,
                        AddLinear(node, x, Transposed(*weight), bias, InitializerName(node, 1)));
  MASE_RETURN_IF_ERROR(RoundWeight(node, 1, result, true));
  node.SetResult(result);
  if (bias.has_value()) node.importer().Alias(*reader, result);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Tensor>> Bias(OnnxNode& node, int i) {
  if (!node.HasInput(i)) return std::nullopt;
  MASE_ASSIGN_OR_RETURN(Tensor bias, node.Floats(i));
  return bias;
}

absl::Status Conv(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Tensor weight, node.Floats(1));
  MASE_ASSIGN_OR_RETURN(std::optional<Tensor> bias, Bias(node, 2));
  MASE_ASSIGN_OR_RETURN(Value * result, AddConv(node, x, std::move(weight), std::move(bias),
                                                InitializerName(node, 1)));
  MASE_RETURN_IF_ERROR(RoundWeight(node, 1, result, false));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status ConvTranspose(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Tensor weight, node.Floats(1));
  MASE_ASSIGN_OR_RETURN(const std::optional<Tensor> bias, Bias(node, 2));
  MASE_ASSIGN_OR_RETURN(std::vector<Extent> extents, node.importer().ExtentsOf(x));
  const bool flat = extents.size() == 3;
  if (weight.shape().rank() != static_cast<int>(extents.size()) || (!flat && extents.size() != 4)) {
    return CannotRead("has ", static_cast<int>(extents.size()) - 2,
                      " spatial axes; one or two can be read");
  }
  const int axes = static_cast<int>(extents.size()) - 2;
  MASE_ASSIGN_OR_RETURN(const int64_t groups, node.Int("group", 1));
  MASE_ASSIGN_OR_RETURN(Ints stride, node.Ints("strides", Ints(axes, 1)));
  MASE_ASSIGN_OR_RETURN(Ints dilation, node.Ints("dilations", Ints(axes, 1)));
  MASE_ASSIGN_OR_RETURN(Ints extra, node.Ints("output_padding", Ints(axes, 0)));
  MASE_ASSIGN_OR_RETURN(Ints pads, node.Ints("pads", Ints(2 * axes, 0)));
  MASE_ASSIGN_OR_RETURN(const Ints wanted, node.Ints("output_shape", {}));
  MASE_ASSIGN_OR_RETURN(const std::string auto_pad, node.String("auto_pad", "NOTSET"));
  Ints kernel(weight.shape().dims().begin() + 2, weight.shape().dims().end());
  for (const Ints* list : {&stride, &dilation, &extra}) {
    if (list->size() != static_cast<size_t>(axes))
      return BadNode("wants ", axes, " entries an attribute");
  }
  if (pads.size() != 2u * axes || (!wanted.empty() && wanted.size() < static_cast<size_t>(axes))) {
    return BadNode("wants ", 2 * axes, " pads");
  }
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  Ints padding(axes), front(axes), back(axes);
  for (int axis = 0; axis < axes; ++axis) {
    if (stride[axis] < 1 || stride[axis] > (1 << 20) || dilation[axis] < 1 ||
        dilation[axis] > (1 << 20) || !extents[axis + 2].fixed()) {
      return BadNode("strides or dilations out of range");
    }
    constexpr int64_t kMost = 1 << 24;
    int64_t before = pads[axis], after = pads[axis + axes];
    for (const int64_t pad : {before, after}) {
      if (pad < -kMost || pad > kMost) return BadNode("a padding of ", pad);
    }
    if (extra[axis] < 0 || extra[axis] > kMost) return BadNode("output_padding=", extra[axis]);
    if (same || !wanted.empty()) {
      const int64_t result = wanted.empty() ? extents[axis + 2].constant * stride[axis]
                                            : wanted[wanted.size() - axes + axis];
      if (result < 1 || result > kMost) return BadNode("a result of ", result);
      const int64_t total = stride[axis] * (extents[axis + 2].constant - 1) + extra[axis] +
                            (kernel[axis] - 1) * dilation[axis] + 1 - result;
      before = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      if (total < 0) before = 0;  // What is missing comes after the end.
      after = total - before;
    }
    // What is taken off both ends the op takes off; the rest is a slice.
    padding[axis] = std::max<int64_t>(std::min(before, after), 0);
    front[axis] = padding[axis] - before;
    back[axis] = padding[axis] - after;
  }
  if (flat) {
    for (Ints* list : {&kernel, &stride, &dilation, &extra, &padding, &front, &back}) {
      list->insert(list->begin(),
                   list == &padding || list == &extra || list == &front || list == &back ? 0 : 1);
    }
    const Shape& shape = weight.shape();
    weight = weight.Reshape({shape[0], shape[1], 1, shape[2]});
    extents.insert(extents.begin() + 2, {1});
    MASE_ASSIGN_OR_RETURN(x, node.View(x, extents));
  }
  if (groups < 1 || groups > weight.shape()[0]) return BadNode("group=", groups);
  Attributes attributes = {{"in_channels", weight.shape()[0]},
                           {"out_channels", weight.shape()[1] * groups},
                           {"kernel_size", kernel},
                           {"stride", stride},
                           {"padding", padding},
                           {"output_padding", extra},
                           {"groups", groups},
                           {"bias", bias.has_value()},
                           {"dilation", dilation}};
  std::vector<OwnTensor> own = {{"weight", std::move(weight), InitializerName(node, 1)}};
  if (bias.has_value()) own.push_back({"bias", *bias});
  MASE_ASSIGN_OR_RETURN(
      Value * result, node.Add(ops::kConvTranspose2d, {x}, std::move(attributes), std::move(own)));
  MASE_ASSIGN_OR_RETURN(result, Padded(node, result, front, back, 0));
  if (flat) {
    MASE_ASSIGN_OR_RETURN(extents, node.importer().ExtentsOf(result));
    extents.erase(extents.begin() + 2);
    MASE_ASSIGN_OR_RETURN(result, node.View(result, extents));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status BatchNormalization(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double eps, node.Float("epsilon", 1e-5f));
  MASE_ASSIGN_OR_RETURN(const double momentum, node.Float("momentum", 0.9f));
  MASE_ASSIGN_OR_RETURN(const int64_t training, node.Int("training_mode", 0));
  MASE_ASSIGN_OR_RETURN(const int64_t spatial, node.Int("spatial", 1));
  if (training != 0 || spatial == 0) return CannotRead("runs in inference, and by channel, alone");
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int rank = node.importer().RankOf(x);
  if (rank < 2 || rank > 4) return CannotRead("has an input of rank ", rank, ", want 2 to 4");
  std::vector<OwnTensor> own;
  const char* const names[] = {"weight", "bias", "running_mean", "running_var"};
  for (int i = 0; i < 4; ++i) {
    MASE_ASSIGN_OR_RETURN(Tensor tensor, node.Floats(i + 1));
    own.push_back({names[i], std::move(tensor), InitializerName(node, i + 1)});
  }
  const int64_t features = own[0].value.elements();
  own.push_back({"num_batches_tracked", Tensor::Zeros(DType::kInt64, Shape())});
  MASE_ASSIGN_OR_RETURN(
      Value * result,
      node.Add(rank == 4 ? ops::kBatchNorm2d : ops::kBatchNorm1d, {x},
               {{"num_features", features}, {"eps", eps}, {"momentum", 1 - momentum}},
               std::move(own)));
  node.SetResult(result);
  return absl::OkStatus();
}

// Group norms, of which an instance norm is the one with a group for each channel.
absl::Status AddGroupNorm(OnnxNode& node, Value* x, int64_t groups, Tensor weight, Tensor bias,
                          double eps) {
  const int64_t channels = weight.elements();
  std::vector<OwnTensor> own = {{"weight", std::move(weight), InitializerName(node, 1)},
                                {"bias", std::move(bias)}};
  MASE_ASSIGN_OR_RETURN(
      Value * result,
      node.Add(ops::kGroupNorm, {x},
               {{"num_groups", groups}, {"num_channels", channels}, {"eps", eps}}, std::move(own)));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status InstanceNormalization(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double eps, node.Float("epsilon", 1e-5f));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Tensor weight, node.Floats(1));
  MASE_ASSIGN_OR_RETURN(Tensor bias, node.Floats(2));
  const int64_t channels = weight.elements();
  return AddGroupNorm(node, x, channels, std::move(weight), std::move(bias), eps);
}

absl::Status GroupNormalization(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double eps, node.Float("epsilon", 1e-5f));
  MASE_ASSIGN_OR_RETURN(const int64_t groups, node.Int("num_groups", 0));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, node.importer().ExtentsOf(x));
  if (extents.size() < 2 || groups < 1) return BadNode("wants channels on axis 1, and groups");
  const int64_t channels = extents[1].constant;
  Tensor tensors[2];
  for (int i = 0; i < 2; ++i) {
    MASE_ASSIGN_OR_RETURN(tensors[i], node.Floats(i + 1));
    if (node.opset() >= 21) continue;
    // One number for each group.
    if (tensors[i].elements() != groups || channels % groups != 0) {
      return BadNode("wants ", groups, " scales and biases, has ", tensors[i].elements());
    }
    std::vector<float> spread;
    for (const float number : tensors[i].data<float>()) {
      spread.insert(spread.end(), channels / groups, number);
    }
    tensors[i] = Tensor::FromValues<float>({channels}, spread);
  }
  return AddGroupNorm(node, x, groups, std::move(tensors[0]), std::move(tensors[1]), eps);
}

absl::Status LayerNormalization(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double eps, node.Float("epsilon", 1e-5f));
  MASE_ASSIGN_OR_RETURN(const int64_t given, node.Int("axis", -1));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, node.importer().ExtentsOf(x));
  MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(given, static_cast<int>(extents.size())));
  Ints normalized;
  for (size_t i = axis; i < extents.size(); ++i) {
    if (!extents[i].fixed()) return CannotRead("takes its statistics over the rows");
    normalized.push_back(extents[i].constant);
  }
  const Tensor *scale = node.KnownFloats(1), *bias = node.KnownFloats(2);
  const Shape shape(normalized);
  const bool owned = scale != nullptr && scale->shape() == shape &&
                     (!node.HasInput(2) || (bias != nullptr && bias->shape() == shape));
  std::vector<OwnTensor> own;
  if (owned) {
    own.push_back({"weight", *scale, InitializerName(node, 1)});
    own.push_back({"bias", bias != nullptr ? *bias : Tensor::Zeros(DType::kFloat32, shape)});
  }
  MASE_ASSIGN_OR_RETURN(
      Value * result,
      node.Add(ops::kLayerNorm, {x},
               {{"normalized_shape", normalized}, {"eps", eps}, {"elementwise_affine", owned}},
               std::move(own)));
  for (const int i : {1, 2}) {
    if (owned || !node.HasInput(i)) continue;
    MASE_ASSIGN_OR_RETURN(Value * other, node.ValueOf(i));
    MASE_ASSIGN_OR_RETURN(result, node.Add(i == 1 ? ops::kMul : ops::kAdd, {result, other}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

}  // namespace

Tensor Transposed(const Tensor& matrix) {
  const int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
  Tensor result = Tensor::Zeros(DType::kFloat32, {columns, rows});
  const absl::Span<const float> from = matrix.data<float>();
  const absl::Span<float> to = result.mutable_data<float>();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      to[column * rows + row] = from[row * columns + column];
    }
  }
  return result;
}

absl::StatusOr<Value*> AddLinear(OnnxNode& node, Value* x, Tensor weight,
                                 std::optional<Tensor> bias, const std::string& initializer) {
  const Attributes attributes = {{"in_features", weight.shape()[1]},
                                 {"out_features", weight.shape()[0]},
                                 {"bias", bias.has_value()}};
  std::vector<OwnTensor> own = {{"weight", std::move(weight), initializer}};
  if (bias.has_value()) own.push_back({"bias", *std::move(bias)});
  return node.Add(ops::kLinear, {x}, attributes, std::move(own));
}

absl::StatusOr<Value*> AddConv(OnnxNode& node, Value* x, Tensor weight, std::optional<Tensor> bias,
                               const std::string& initializer) {
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, node.importer().ExtentsOf(x));
  const int axes = static_cast<int>(extents.size()) - 2;
  if (axes != 1 && axes != 2) {
    return CannotRead("has ", axes, " spatial axes; one or two can be read");
  }
  if (weight.shape().rank() != axes + 2) {
    return BadNode("weights of shape ", weight.shape().ToString());
  }
  MASE_ASSIGN_OR_RETURN(const int64_t groups, node.Int("group", 1));
  const Ints kernel(weight.shape().dims().begin() + 2, weight.shape().dims().end());
  MASE_ASSIGN_OR_RETURN(Windows windows, WindowsOf(node, extents, kernel));
  if (groups < 1 || groups > weight.shape()[0]) return BadNode("group=", groups);
  const bool negative = *std::min_element(windows.before.begin(), windows.before.end()) < 0;
  if (!windows.same_on_both_sides() || negative) {
    MASE_ASSIGN_OR_RETURN(x, Padded(node, x, windows.before, windows.after, 0));
    windows.before.assign(axes, 0);
  }
  const Attributes attributes = {{"in_channels", weight.shape()[1] * groups},
                                 {"out_channels", weight.shape()[0]},
                                 {"kernel_size", kernel},
                                 {"stride", windows.stride},
                                 {"padding", windows.before},
                                 {"dilation", windows.dilation},
                                 {"groups", groups},
                                 {"bias", bias.has_value()}};
  std::vector<OwnTensor> own = {{"weight", std::move(weight), initializer}};
  if (bias.has_value()) own.push_back({"bias", *std::move(bias)});
  return node.Add(axes == 2 ? ops::kConv2d : ops::kConv1d, {x}, attributes, std::move(own));
}

std::vector<OnnxOp> OnnxLayerOps() {
  constexpr absl::string_view kStored = "constant weights";
  return {
      {.name = "Gemm", .becomes = "linear, or matmul and add", .import = Gemm},
      {.name = "MatMul", .becomes = "linear, or matmul", .import = MatMul},
      {.name = "Conv",
       .becomes = "conv1d, conv2d",
       .limits = "constant weights; one or two spatial axes",
       .import = Conv},
      {.name = "ConvTranspose",
       .becomes = ops::kConvTranspose2d,
       .limits = "constant weights; one or two spatial axes",
       .import = ConvTranspose},
      {.name = "BatchNormalization",
       .becomes = "batch_norm1d, batch_norm2d",
       .limits = "inference; constant weights; inputs of rank 2 to 4",
       .import = BatchNormalization},
      {.name = "InstanceNormalization",
       .becomes = ops::kGroupNorm,
       .limits = kStored,
       .import = InstanceNormalization},
      {.name = "GroupNormalization",
       .becomes = ops::kGroupNorm,
       .limits = kStored,
       .import = GroupNormalization},
      {.name = "LayerNormalization",
       .becomes = "layer_norm, with mul and add",
       .limits = "the first result",
       .import = LayerNormalization},
  };
}

}  // namespace mase
