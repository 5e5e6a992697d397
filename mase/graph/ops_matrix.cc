// Ops that are matrix products: linear, convolutions, matmul.
#include <algorithm>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

std::vector<ParameterSpec> WeightAndBias(Shape weight, int64_t fan_in, bool bias) {
  const int64_t outputs = weight[0];
  std::vector<ParameterSpec> specs = {
      {"weight", std::move(weight), ParameterSpec::Init::kUniformFanIn, fan_in}};
  if (bias) specs.push_back({"bias", {outputs}, ParameterSpec::Init::kUniformFanIn, fan_in});
  return specs;
}

// A layer computes something.
absl::Status CheckOutputs(const Attributes& attributes, absl::string_view name) {
  if (attributes.Int(name) >= 1) return absl::OkStatus();
  return ShapeError(name, "=", attributes.Int(name), ": want at least 1");
}

// y = x W^T + b over the last axis; W is [out_features, in_features].
InfosOr LinearShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  const int64_t in = attributes.Int("in_features");
  if (src.rank() < 1 || src[-1] != in) {
    return ShapeError("input ", src.ToString(), ": last extent must be in_features=", in);
  }
  Shape dst = src;
  MASE_RETURN_IF_ERROR(CheckOutputs(attributes, "out_features"));
  dst.set_dim(-1, attributes.Int("out_features"));
  return OneResult(inputs, std::move(dst));
}

std::vector<ParameterSpec> LinearParameters(const Attributes& attributes) {
  const int64_t in = attributes.Int("in_features");
  return WeightAndBias({attributes.Int("out_features"), in}, in, attributes.Bool("bias"));
}

OpCost LinearCost(Infos, Infos results, const Attributes& attributes) {
  return {.macs = BoundedProduct(Elements(results[0]), attributes.Int("in_features"))};
}

// Cross-correlation over `Axes` spatial axes of [batch, channels, spatial...].
template <int Axes>
InfosOr ConvShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  const int64_t in = attributes.Int("in_channels");
  MASE_RETURN_IF_ERROR(CheckOutputs(attributes, "out_channels"));
  const int64_t out = attributes.Int("out_channels");
  const int64_t groups = attributes.Int("groups");
  if (src.rank() != Axes + 2 || src[1] != in) {
    return ShapeError("input ", src.ToString(), ": want rank ", Axes + 2, " with ", in,
                      " channels");
  }
  if (groups < 1 || in % groups != 0 || out % groups != 0) {
    return ShapeError("groups=", groups, " does not divide channels ", in, " and ", out);
  }
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "kernel_size", Axes, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "stride", Axes, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "padding", Axes, 0));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "dilation", Axes, 1));
  Shape dst = {src[0], out};
  for (int i = 0; i < Axes; ++i) {
    const int64_t extent =
        WindowExtent(src[i + 2], attributes.Ints("kernel_size")[i], attributes.Ints("stride")[i],
                     attributes.Ints("padding")[i], attributes.Ints("dilation")[i], false);
    if (extent < 1) {
      return ShapeError("input ", src.ToString(), ": smaller than the kernel ",
                        AttributeToPython(attributes.Ints("kernel_size")));
    }
    dst.push_back(extent);
  }
  return OneResult(inputs, std::move(dst));
}

std::vector<ParameterSpec> ConvParameters(const Attributes& attributes) {
  const int64_t group_in = attributes.Int("in_channels") / attributes.Int("groups");
  Shape weight = {attributes.Int("out_channels"), group_in};
  int64_t fan_in = group_in;
  for (int64_t extent : attributes.Ints("kernel_size")) {
    weight.push_back(extent);
    fan_in *= extent;
  }
  return WeightAndBias(std::move(weight), fan_in, attributes.Bool("bias"));
}

OpCost ConvCost(Infos, Infos results, const Attributes& attributes) {
  int64_t per_result = attributes.Int("in_channels") / attributes.Int("groups");
  for (int64_t extent : attributes.Ints("kernel_size")) {
    per_result = BoundedProduct(per_result, extent);
  }
  return {.macs = BoundedProduct(Elements(results[0]), per_result)};
}

constexpr uint32_t kLayer =
    OpTrait::kWeighted | OpTrait::kOutputsFirst | OpTrait::kBiasLostBeforeNorm;
const std::vector<TensorRole> kWeightAndBias = {{"weight", operands::kWeight},
                                                {"bias", operands::kBias}};

template <int Axes>
OpSchema Conv(absl::string_view name, absl::string_view module_class, absl::string_view doc) {
  const std::vector<int64_t> ones(Axes, 1), zeros(Axes, 0);
  return {.name = name,
          .doc = doc,
          .module_class = module_class,
          .module_type = "module_related_func",
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = {{"in_channels", int64_t{0}, true},
                         {"out_channels", int64_t{0}, true},
                         {"kernel_size", ones, true},
                         {"stride", ones},
                         {"padding", zeros},
                         {"dilation", ones},
                         {"groups", int64_t{1}},
                         {"bias", true}},
          .traits = kLayer | OpTrait::kConvolution,
          .tensor_roles = kWeightAndBias,
          .quantizable = true,
          .shape_rule = ConvShape<Axes>,
          .parameter_rule = ConvParameters,
          .cost = {"", "", ConvCost, kMac},
          .repr =
              "{in_channels}, {out_channels}, kernel_size={kernel_size}, stride={stride}"
              "[padding:, padding={padding}][dilation:, dilation={dilation}]"
              "[groups:, groups={groups}][bias:, bias={bias}]"};
}

// The gradient of a convolution by its input, as a layer; W is [in_channels, out_channels / groups,
// kernel...].
InfosOr ConvTransposeShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  const int64_t in = attributes.Int("in_channels");
  const int64_t out = attributes.Int("out_channels");
  const int64_t groups = attributes.Int("groups");
  if (src.rank() != 4 || src[1] != in) {
    return ShapeError("input ", src.ToString(), ": want rank 4 with ", in, " channels");
  }
  if (groups < 1 || in % groups != 0 || out % groups != 0) {
    return ShapeError("groups=", groups, " does not divide channels ", in, " and ", out);
  }
  MASE_RETURN_IF_ERROR(CheckOutputs(attributes, "out_channels"));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "kernel_size", 2, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "stride", 2, 1));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "padding", 2, 0));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "output_padding", 2, 0));
  MASE_RETURN_IF_ERROR(CheckWindow(attributes, "dilation", 2, 1));
  Shape dst = {src[0], out};
  for (int i = 0; i < 2; ++i) {
    const int64_t stride = attributes.Ints("stride")[i], dilation = attributes.Ints("dilation")[i];
    const int64_t extra = attributes.Ints("output_padding")[i];
    if (extra >= std::max(stride, dilation)) {
      return ShapeError("output_padding=", extra, " is not below stride=", stride,
                        " or dilation=", dilation);
    }
    const int64_t extent = (src[i + 2] - 1) * stride - 2 * attributes.Ints("padding")[i] +
                           dilation * (attributes.Ints("kernel_size")[i] - 1) + extra + 1;
    if (extent < 1) {
      return ShapeError("input ", src.ToString(), ": nothing is left by padding=",
                        AttributeToPython(attributes.Ints("padding")));
    }
    dst.push_back(extent);
  }
  return OneResult(inputs, std::move(dst));
}

std::vector<ParameterSpec> ConvTransposeParameters(const Attributes& attributes) {
  const int64_t group_out = attributes.Int("out_channels") / attributes.Int("groups");
  Shape weight = {attributes.Int("in_channels"), group_out};
  int64_t fan_in = group_out;  // PyTorch counts so, although sums run over the other axis.
  for (int64_t extent : attributes.Ints("kernel_size")) {
    weight.push_back(extent);
    fan_in *= extent;
  }
  using Init = ParameterSpec::Init;
  std::vector<ParameterSpec> specs = {{"weight", std::move(weight), Init::kUniformFanIn, fan_in}};
  if (attributes.Bool("bias")) {
    specs.push_back({"bias", {attributes.Int("out_channels")}, Init::kUniformFanIn, fan_in});
  }
  return specs;
}

OpCost ConvTransposeCost(Infos inputs, Infos, const Attributes& attributes) {
  int64_t per_input = attributes.Int("out_channels") / attributes.Int("groups");
  for (int64_t extent : attributes.Ints("kernel_size")) {
    per_input = BoundedProduct(per_input, extent);
  }
  return {.macs = BoundedProduct(Elements(inputs[0]), per_input)};
}

// Batched product with NumPy's broadcasting of the leading axes. A vector in front is a row, one
// behind a column, and the result lacks that axis.
InfosOr MatmulShape(Infos inputs, const Attributes&) {
  const Shape& a = inputs[0].shape;
  const Shape& b = inputs[1].shape;
  const int a_batch = std::max(a.rank() - 2, 0), b_batch = std::max(b.rank() - 2, 0);
  if (a.rank() < 1 || b.rank() < 1 || a[-1] != b[b.rank() > 1 ? -2 : -1]) {
    return ShapeError("cannot multiply ", a.ToString(), " by ", b.ToString());
  }
  MASE_ASSIGN_OR_RETURN(Shape dst, BroadcastShapes(Shape(a.dims().subspan(0, a_batch)),
                                                   Shape(b.dims().subspan(0, b_batch))));
  if (a.rank() > 1) dst.push_back(a[-2]);
  if (b.rank() > 1) dst.push_back(b[-1]);
  return OneResult(inputs, std::move(dst));
}

InfosOr BmmShape(Infos inputs, const Attributes& attributes) {
  const Shape& a = inputs[0].shape;
  const Shape& b = inputs[1].shape;
  if (a.rank() != 3 || b.rank() != 3 || a[0] != b[0]) {
    return ShapeError("bmm wants two rank-3 inputs of one batch, got ", a.ToString(), " and ",
                      b.ToString());
  }
  return MatmulShape(inputs, attributes);
}

OpCost MatmulCost(Infos inputs, Infos results, const Attributes&) {
  return {.macs = BoundedProduct(Elements(results[0]), inputs[0].shape[-1])};
}

}  // namespace

std::vector<OpSchema> MatrixOps() {
  return {
      {.name = ops::kLinear,
       .doc = "x W^T + b over the last axis",
       .module_class = "Linear",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"in_features", int64_t{0}, true},
                      {"out_features", int64_t{0}, true},
                      {"bias", true}},
       .traits = kLayer,
       .tensor_roles = kWeightAndBias,
       .quantizable = true,
       .shape_rule = LinearShape,
       .parameter_rule = LinearParameters,
       .cost = {"", "", LinearCost, kMac | kFlop},
       .repr = "in_features={in_features}, out_features={out_features}, bias={bias}"},
      Conv<1>(ops::kConv1d, "Conv1d", "cross-correlation with W along one axis, + b"),
      Conv<2>(ops::kConv2d, "Conv2d", "cross-correlation with W along two axes, + b"),
      {.name = ops::kConvTranspose2d,
       .doc = "the gradient of a conv2d by its input, + b",
       .module_class = "ConvTranspose2d",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"in_channels", int64_t{0}, true},
                      {"out_channels", int64_t{0}, true},
                      {"kernel_size", std::vector<int64_t>{1, 1}, true},
                      {"stride", std::vector<int64_t>{1, 1}},
                      {"padding", std::vector<int64_t>{0, 0}},
                      {"output_padding", std::vector<int64_t>{0, 0}},
                      {"groups", int64_t{1}},
                      {"bias", true},
                      {"dilation", std::vector<int64_t>{1, 1}}},
       .traits = OpTrait::kWeighted | OpTrait::kBiasLostBeforeNorm,
       .tensor_roles = kWeightAndBias,
       .quantizable = true,
       .shape_rule = ConvTransposeShape,
       .parameter_rule = ConvTransposeParameters,
       .cost = {"", "", ConvTransposeCost},
       .repr = "{in_channels}, {out_channels}, kernel_size={kernel_size}, stride={stride}"
               "[padding:, padding={padding}][dilation:, dilation={dilation}]"
               "[output_padding:, output_padding={output_padding}][groups:, groups={groups}]"
               "[bias:, bias={bias}]"},
      {.name = ops::kMatmul,
       .doc = "x y over the last axis of x and the last but one of y (the only one of a vector)",
       .function_type = "builtin_func",
       .arguments = {{"input"}, {"other", operands::kWeight}},
       .traits = static_cast<uint32_t>(OpTrait::kProduct),
       .quantizable = true,
       .shape_rule = MatmulShape,
       .cost = {"", "", MatmulCost}},
      {.name = ops::kBmm,
       .doc = "x[i] y[i], matrix by matrix",
       .function_type = "builtin_func",
       .arguments = {{"input"}, {"mat2", operands::kWeight}},
       .traits = static_cast<uint32_t>(OpTrait::kProduct),
       .quantizable = true,
       .shape_rule = BmmShape,
       .cost = {"", "", MatmulCost}},
  };
}

}  // namespace mase
