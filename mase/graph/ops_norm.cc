// Normalizations, softmax and dropout.
#include <cmath>
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

using Init = ParameterSpec::Init;

// Both conventions count operations for each element: `Mac` of them; by the DeepSpeed profiler's
// `Flop`, one of which applies weight and bias where there are any.
template <int64_t Mac, int64_t Flop>
OpCost NormCost(Infos inputs, Infos, const Attributes& attributes) {
  const Attribute* affine = attributes.Find("affine");
  if (affine == nullptr) affine = attributes.Find("elementwise_affine");
  const bool is_affine = affine == nullptr || std::get<bool>(*affine);
  const int64_t n = Elements(inputs[0]);
  return {0, Mac * n, (is_affine ? Flop : Flop - 1) * n};
}

// Batch norms at rest scale and shift by stored statistics.
OpCost BatchNormCost(Infos inputs, Infos results, const Attributes& attributes) {
  return attributes.Bool("track_running_stats") ? NormCost<4, 2>(inputs, results, attributes)
                                                : NormCost<4, 5>(inputs, results, attributes);
}

// For each element: e^x, its sum, the division, the largest of all and its subtraction.
OpCost SoftmaxCost(Infos inputs, Infos, const Attributes&) {
  return {0, 5 * Elements(inputs[0]), 5 * Elements(inputs[0])};
}

// Channels are axis 1 of [batch, channels, spatial...].
absl::Status CheckChannels(const Shape& src, int64_t channels, int min_rank, int max_rank) {
  if (src.rank() < min_rank || src.rank() > max_rank || src[1] != channels) {
    return ShapeError("input ", src.ToString(), ": want rank ", min_rank,
                      min_rank == max_rank ? "" : absl::StrCat(" to ", max_rank), " with ",
                      channels, " channels on axis 1");
  }
  return absl::OkStatus();
}

// A variance of 0 plus eps is divided by the root of.
absl::Status CheckEps(const Attributes& attributes) {
  const double eps = attributes.Float("eps");
  if (eps >= 0 && std::isfinite(eps)) return absl::OkStatus();
  return ShapeError("eps=", eps, ": want a number that is at least 0");
}

// The weight of a new batch in running statistics, which are a mean of those before.
absl::Status CheckMomentum(const Attributes& attributes) {
  const double momentum = attributes.Float("momentum");
  if (momentum >= 0 && momentum <= 1) return absl::OkStatus();
  return ShapeError("momentum=", momentum, " is outside [0, 1]");
}

template <int MinRank, int MaxRank>
InfosOr FeatureNormShape(Infos inputs, const Attributes& attributes) {
  MASE_RETURN_IF_ERROR(CheckEps(attributes));
  MASE_RETURN_IF_ERROR(CheckMomentum(attributes));
  MASE_RETURN_IF_ERROR(
      CheckChannels(inputs[0].shape, attributes.Int("num_features"), MinRank, MaxRank));
  return SameAsInput(inputs, attributes);
}

std::vector<ParameterSpec> Affine(const Shape& shape, bool affine) {
  if (!affine) return {};
  return {{"weight", shape, Init::kOnes}, {"bias", shape, Init::kZeros}};
}

std::vector<ParameterSpec> FeatureNormParameters(const Attributes& attributes) {
  const Shape shape = {attributes.Int("num_features")};
  std::vector<ParameterSpec> specs = Affine(shape, attributes.Bool("affine"));
  if (attributes.Bool("track_running_stats")) {
    specs.push_back({"running_mean", shape, Init::kZeros, 0, true});
    specs.push_back({"running_var", shape, Init::kOnes, 0, true});
    specs.push_back({"num_batches_tracked", {}, Init::kZeros, 0, true, DType::kInt64});
  }
  return specs;
}

const std::vector<TensorRole> kWeightAndBias = {{"weight", operands::kWeight},
                                                {"bias", operands::kBias}};

template <int MinRank, int MaxRank>
OpSchema FeatureNorm(absl::string_view name, absl::string_view module_class, absl::string_view doc,
                     absl::string_view module_type, bool over_batch) {
  return {.name = name,
          .doc = doc,
          .module_class = module_class,
          .module_type = module_type,
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = {{"num_features", int64_t{0}, true},
                         {"eps", 1e-5},
                         {"momentum", 0.1},
                         {"affine", over_batch},
                         {"track_running_stats", over_batch}},
          .traits = over_batch ? OpTrait::kNorm | OpTrait::kBatchNorm
                               : static_cast<uint32_t>(OpTrait::kNorm),
          .tensor_roles = kWeightAndBias,
          .quantizable = true,
          .shape_rule = FeatureNormShape<MinRank, MaxRank>,
          .parameter_rule = FeatureNormParameters,
          .cost = over_batch ? CostRule{"4 n", "2 n", BatchNormCost, kMac | kFlop}
                             : CostRule{"4 n", "5 n", BatchNormCost},
          .repr =
              "{num_features}, eps={eps}, momentum={momentum}, affine={affine}, "
              "track_running_stats={track_running_stats}"};
}

InfosOr LayerNormShape(Infos inputs, const Attributes& attributes) {
  MASE_RETURN_IF_ERROR(CheckEps(attributes));
  const Shape& src = inputs[0].shape;
  const std::vector<int64_t>& normalized = attributes.Ints("normalized_shape");
  const int count = static_cast<int>(normalized.size());
  bool matches = count >= 1 && count <= src.rank();
  for (int i = 0; matches && i < count; ++i) matches = src[src.rank() - count + i] == normalized[i];
  if (!matches) {
    return ShapeError("input ", src.ToString(), " does not end in normalized_shape ",
                      AttributeToPython(normalized));
  }
  return SameAsInput(inputs, attributes);
}

std::vector<ParameterSpec> LayerNormParameters(const Attributes& attributes) {
  return Affine(Shape(attributes.Ints("normalized_shape")), attributes.Bool("elementwise_affine"));
}

std::vector<ParameterSpec> RmsNormParameters(const Attributes& attributes) {
  if (!attributes.Bool("elementwise_affine")) return {};
  return {{"weight", Shape(attributes.Ints("normalized_shape")), Init::kOnes}};
}

InfosOr GroupNormShape(Infos inputs, const Attributes& attributes) {
  MASE_RETURN_IF_ERROR(CheckEps(attributes));
  const int64_t channels = attributes.Int("num_channels");
  const int64_t groups = attributes.Int("num_groups");
  MASE_RETURN_IF_ERROR(CheckChannels(inputs[0].shape, channels, 2, 5));
  if (groups < 1 || channels % groups != 0) {
    return ShapeError("num_groups=", groups, " does not divide num_channels=", channels);
  }
  return SameAsInput(inputs, attributes);
}

std::vector<ParameterSpec> GroupNormParameters(const Attributes& attributes) {
  return Affine({attributes.Int("num_channels")}, attributes.Bool("affine"));
}

InfosOr AxisShape(Infos inputs, const Attributes& attributes) {
  MASE_RETURN_IF_ERROR(NormalizeAxis(attributes.Int("dim"), inputs[0].shape.rank()).status());
  return SameAsInput(inputs, attributes);
}

InfosOr DropoutShape(Infos inputs, const Attributes& attributes) {
  const double p = attributes.Float("p");
  if (!(p >= 0 && p <= 1)) return ShapeError("p=", p, " is outside [0, 1]");
  return SameAsInput(inputs, attributes);
}

}  // namespace

std::vector<OpSchema> NormOps() {
  return {
      // MASE calls the batch norm modules "module", all other layers "module_related_func".
      FeatureNorm<2, 3>(
          ops::kBatchNorm1d, "BatchNorm1d",
          "weight (x - mean) / sqrt(variance + eps) + bias, by channel over the batch", "module",
          true),
      FeatureNorm<4, 4>(
          ops::kBatchNorm2d, "BatchNorm2d",
          "weight (x - mean) / sqrt(variance + eps) + bias, by channel over the batch", "module",
          true),
      FeatureNorm<4, 4>(ops::kInstanceNorm2d, "InstanceNorm2d",
                        "weight (x - mean) / sqrt(variance + eps) + bias, by sample and channel",
                        "module_related_func", false),
      {.name = ops::kLayerNorm,
       .doc = "weight (x - mean) / sqrt(variance + eps) + bias, over the last axes",
       .module_class = "LayerNorm",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"normalized_shape", std::vector<int64_t>{}, true},
                      {"eps", 1e-5},
                      {"elementwise_affine", true}},
       .traits = static_cast<uint32_t>(OpTrait::kNorm),
       .tensor_roles = kWeightAndBias,
       .quantizable = true,
       .shape_rule = LayerNormShape,
       .parameter_rule = LayerNormParameters,
       .cost = {"5 n", "5 n", NormCost<5, 5>, kMac},
       .repr = "{normalized_shape}, eps={eps}, elementwise_affine={elementwise_affine}"},
      {.name = ops::kRmsNorm,
       .doc = "weight x / sqrt(mean(x^2) + eps), over the last axes",
       .module_class = "RMSNorm",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"normalized_shape", std::vector<int64_t>{}, true},
                      {"eps", 1.1920928955078125e-07},  // PyTorch's None: 2^-23.
                      {"elementwise_affine", true}},
       .traits = static_cast<uint32_t>(OpTrait::kNorm),
       .tensor_roles = {{"weight", operands::kWeight}},
       .quantizable = true,
       .shape_rule = LayerNormShape,
       .parameter_rule = RmsNormParameters,
       .cost = {"4 n", "4 n", NormCost<4, 4>},
       .repr = "{normalized_shape}, eps={eps}, elementwise_affine={elementwise_affine}"},
      {.name = ops::kGroupNorm,
       .doc = "weight (x - mean) / sqrt(variance + eps) + bias, by sample and group of channels",
       .module_class = "GroupNorm",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"num_groups", int64_t{1}, true},
                      {"num_channels", int64_t{0}, true},
                      {"eps", 1e-5},
                      {"affine", true}},
       .traits = static_cast<uint32_t>(OpTrait::kNorm),
       .tensor_roles = kWeightAndBias,
       .quantizable = true,
       .shape_rule = GroupNormShape,
       .parameter_rule = GroupNormParameters,
       .cost = {"5 n", "5 n", NormCost<5, 5>},
       .repr = "{num_groups}, {num_channels}, eps={eps}, affine={affine}"},
      {.name = ops::kSoftmax,
       .doc = "e^x / sum(e^x) along one axis",
       .module_class = "Softmax",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"dim", int64_t{-1}}},
       .quantizable = true,
       .shape_rule = AxisShape,
       .cost = {"5 n", "5 n", SoftmaxCost},
       .repr = "dim={dim}"},
      {.name = ops::kLogSoftmax,
       .doc = "x - log(sum(e^x)) along one axis",
       .module_class = "LogSoftmax",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"dim", int64_t{-1}}},
       .shape_rule = AxisShape,
       .cost = {"5 n", "5 n", SoftmaxCost},
       .repr = "dim={dim}"},
      {.name = ops::kDropout,
       .doc = "in training 0 with probability p, else x / (1 - p); x at rest",
       .module_class = "Dropout",
       .module_type = "module_related_func",
       .function_type = "implicit_func",
       .arguments = {{"input"}},
       .attributes = {{"p", 0.5}, {"inplace", false}},
       .traits = static_cast<uint32_t>(OpTrait::kRenamesAtRest),
       .shape_rule = DropoutShape,
       .cost = {.published = kMac},
       .repr = "p={p}, inplace={inplace}"},
  };
}

}  // namespace mase
