// ONNX ops that round: they become quantization records of the nodes around them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/onnx/code_types.h"
#include "mase/onnx/onnx_ops.h"
#include "mase/onnx/onnx_scales.h"
#include "mase/onnx/rounding.h"

namespace mase {
namespace {

using ::onnx::TensorProto;

// The 8-bit float that the zero point, or else `output_dtype`, says that codes are; null: integers.
// Their zero point is the code 0.
absl::StatusOr<const Float8Type*> Float8Of(const OnnxNode& node) {
  const OnnxValue* zero = node.Input(2);
  MASE_ASSIGN_OR_RETURN(const int64_t named, node.Int("output_dtype", 0));
  const bool given = zero != nullptr && zero->ints.has_value();
  const Float8Type* type = FindFloat8(given ? zero->ints->type : static_cast<int>(named));
  if (type == nullptr) return nullptr;
  MASE_ASSIGN_OR_RETURN(const bool saturates, node.Int("saturate", 1));
  if (!saturates) return CannotRead("makes ", type->name, " that does not saturate");
  if (given) {
    const std::vector<Extent>& zeros = zero->ints->values;
    if (!std::all_of(zeros.begin(), zeros.end(), [](Extent code) { return code == Extent{0}; })) {
      return CannotRead("makes ", type->name, " with a zero point other than 0");
    }
  }
  return type;
}

absl::StatusOr<std::unique_ptr<const Format>> FormatOf(const Float8Type& type) {
  return Format::FromText(type.format);
}

absl::StatusOr<int64_t> BlockOf(const OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t block, node.Int("block_size", 0));
  if (block < 0 || block > (1 << 24)) return BadNode("block_size=", block);
  return block;
}

// Whether what reads codes has the scale and zero point that they were made with. A Clip may have
// left fewer of them.
absl::Status CheckScales(OnnxNode& node, int scale, const FormatProto& codes) {
  const AffineFormat& made = codes.affine();
  int type = TensorProto::UINT8;
  for (const CodeType& candidate : kCodeTypes) {
    const bool is_signed = !made.has_is_signed();
    if (candidate.is_signed != is_signed || candidate.width < made.width()) continue;
    type = candidate.type;
    break;
  }
  MASE_ASSIGN_OR_RETURN(const OnnxScales scales, ReadOnnxScales(node, scale, type));
  MASE_ASSIGN_OR_RETURN(FormatProto format, FormatOfScales(scales, Shape(), 0, 0));
  if (format.affine().width() >= made.width()) format.mutable_affine()->set_width(made.width());
  if (format.SerializeAsString() == codes.SerializeAsString()) return absl::OkStatus();
  return CannotRead("reads codes by other scales than they were made with");
}

// `combine` of each element and its scale.
template <typename Combine>
absl::StatusOr<Tensor> ByScale(OnnxNode& node, const Tensor& floats, const OnnxScales& scales,
                               const Combine& combine) {
  MASE_ASSIGN_OR_RETURN(const int64_t axis, node.Int("axis", 1));
  MASE_ASSIGN_OR_RETURN(const int64_t block, BlockOf(node));
  MASE_ASSIGN_OR_RETURN(const OnnxScaleIndex index,
                        OnnxScaleIndex::Create(scales, floats.shape(), axis, block));
  Tensor result = floats;
  int64_t i = 0;
  for (float& number : result.mutable_data<float>()) {
    number = combine(number, scales.scale[index(i++)]);
  }
  return result;
}

// What the net computes, rounded to `format` here and not by who reads it: an addition of zero has
// the record.
absl::StatusOr<Value*> AddRounding(OnnxNode& node, Value* x, const FormatProto& format) {
  MASE_ASSIGN_OR_RETURN(Value * zero, node.Number(0));
  MASE_ASSIGN_OR_RETURN(Value * sum, node.Add(ops::kAdd, {x, zero}));
  MASE_RETURN_IF_ERROR(
      RoundOperand(node.importer().graph(), sum->producer(), operands::kDataIn, format));
  return sum;
}

// The input's value for a reader that rounds it to `format`: one that is rounded already, to
// another format, is rounded twice.
absl::StatusOr<Value*> RoundedBefore(OnnxNode& node, const FormatProto& format) {
  const OnnxValue* input = node.Input(0);
  if (!input->rounded.has_value() ||
      input->rounded->SerializeAsString() == format.SerializeAsString()) {
    return input->value;
  }
  node.importer().CountMarkedUses(input->value, 1);
  return AddRounding(node, input->value, *input->rounded);
}

// Codes are their values, before they are multiplied by the scale: of floats that are known those,
// rounded; else what is yet to be rounded, by a record of who reads it.
absl::Status QuantizeToFloat8(OnnxNode& node, const Float8Type& type) {
  const OnnxValue* input = node.Input(0);
  MASE_ASSIGN_OR_RETURN(const OnnxScales scales, ReadOnnxSteps(node, 1));
  MASE_ASSIGN_OR_RETURN(const auto format, FormatOf(type));
  OnnxValue value = {.codes = format->proto()};
  if (input->floats.has_value()) {
    MASE_ASSIGN_OR_RETURN(
        const Tensor divided,
        ByScale(node, *input->floats, scales, [](float x, float scale) { return x / scale; }));
    MASE_ASSIGN_OR_RETURN(value.floats, format->Quantize(divided));
  } else {
    if (input->value == nullptr || input->codes.has_value()) return BadNode("quantizes no floats");
    if (scales.scale.size() != 1) {
      return CannotRead("has ", scales.scale.size(), " scales; what the net computes takes one");
    }
    MASE_ASSIGN_OR_RETURN(value.value, RoundedBefore(node, format->proto()));
    if (!scales.are_one()) {
      MASE_ASSIGN_OR_RETURN(Value * scale, node.Number(scales.scale[0]));
      MASE_ASSIGN_OR_RETURN(value.value, node.Add(ops::kDiv, {value.value, scale}));
    }
  }
  node.SetResult(0, std::move(value));
  return absl::OkStatus();
}

absl::Status QuantizeLinear(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const Float8Type* float8, Float8Of(node));
  if (float8 != nullptr) return QuantizeToFloat8(node, *float8);
  MASE_ASSIGN_OR_RETURN(const int64_t axis, node.Int("axis", 1));
  MASE_ASSIGN_OR_RETURN(const int64_t block, BlockOf(node));
  MASE_ASSIGN_OR_RETURN(const int64_t type, node.Int("output_dtype", 0));
  MASE_ASSIGN_OR_RETURN(
      const OnnxScales scales,
      ReadOnnxScales(node, 1, type == 0 ? TensorProto::UINT8 : static_cast<int>(type)));
  const OnnxValue* input = node.Input(0);
  if (input->floats.has_value()) {
    const Tensor& floats = *input->floats;
    MASE_ASSIGN_OR_RETURN(const OnnxScaleIndex index,
                          OnnxScaleIndex::Create(scales, floats.shape(), axis, block));
    MASE_ASSIGN_OR_RETURN(KnownInts codes, KnownInts::WithRoom(floats.shape(), scales.codes.type));
    for (int64_t i = 0; i < floats.elements(); ++i) {
      const size_t at = index(i);
      const float steps = std::nearbyint(floats.data<float>()[i] / scales.scale[at]);
      const double code = static_cast<double>(steps) + static_cast<double>(scales.zero_of(at));
      codes.values.push_back(
          {static_cast<int64_t>(std::clamp(code, static_cast<double>(scales.codes.least()),
                                           static_cast<double>(scales.codes.most())))});
    }
    OnnxValue value;
    value.ints = std::move(codes);
    node.SetResult(0, std::move(value));
    return absl::OkStatus();
  }
  if (input->value == nullptr || input->codes.has_value()) return BadNode("quantizes no floats");
  if (scales.scale.size() != 1) {
    return CannotRead("has ", scales.scale.size(), " scales; what the net computes takes one");
  }
  MASE_ASSIGN_OR_RETURN(const FormatProto format, FormatOfScales(scales, Shape(), axis, block));
  MASE_ASSIGN_OR_RETURN(Value * value, RoundedBefore(node, format));
  node.SetResult(0, {.value = value, .codes = format});
  return absl::OkStatus();
}

// Stored codes, or what QuantizeToFloat8 left. By a scale of 1 whoever reads the result rounds; by
// another an addition of zero does, in front of the product, for no format has such a scale.
absl::Status DequantizeFloat8(OnnxNode& node, const Float8Type& type) {
  const OnnxValue* input = node.Input(0);
  MASE_ASSIGN_OR_RETURN(const OnnxScales scales, ReadOnnxSteps(node, 1));
  MASE_ASSIGN_OR_RETURN(const auto format, FormatOf(type));
  OnnxValue value;
  if (scales.are_one()) value.rounded = format->proto();
  if (input->value != nullptr) {
    value.value = input->value;
    if (!scales.are_one()) {
      if (scales.scale.size() != 1) {
        return CannotRead("has ", scales.scale.size(), " scales; what the net computes takes one");
      }
      MASE_ASSIGN_OR_RETURN(Value * sum, AddRounding(node, input->value, format->proto()));
      MASE_ASSIGN_OR_RETURN(Value * scale, node.Number(scales.scale[0]));
      MASE_ASSIGN_OR_RETURN(value.value, node.Add(ops::kMul, {sum, scale}));
    }
  } else {
    Tensor numbers;
    if (input->ints.has_value()) {
      MASE_ASSIGN_OR_RETURN(numbers, Tensor::Create(DType::kFloat32, input->ints->shape));
      size_t i = 0;
      for (float& number : numbers.mutable_data<float>()) {
        const auto code = static_cast<uint8_t>(input->ints->values[i++].constant);
        number = static_cast<float>(type.ValueOf(code));
      }
    } else {
      numbers = *input->floats;
    }
    MASE_ASSIGN_OR_RETURN(value.floats, ByScale(node, numbers, scales,
                                                [](float x, float scale) { return x * scale; }));
  }
  node.SetResult(0, std::move(value));
  return absl::OkStatus();
}

absl::Status DequantizeLinear(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t axis, node.Int("axis", 1));
  MASE_ASSIGN_OR_RETURN(const int64_t block, BlockOf(node));
  const OnnxValue* input = node.Input(0);
  MASE_ASSIGN_OR_RETURN(const Float8Type* named, Float8Of(node));
  const Float8Type* made = nullptr;  // What the codes are.
  if (input->ints.has_value()) made = FindFloat8(input->ints->type);
  if (input->codes.has_value() && !input->codes->has_affine()) {
    for (const Float8Type& type : kFloat8Types) {
      MASE_ASSIGN_OR_RETURN(const auto format, FormatOf(type));
      const bool is_it = format->proto().SerializeAsString() == input->codes->SerializeAsString();
      if (is_it) made = &type;
    }
  }
  if (named != nullptr && named != made) {
    return CannotRead("reads codes by another type than they were made with");
  }
  if (made != nullptr) return DequantizeFloat8(node, *made);
  if (input->codes.has_value()) {
    MASE_RETURN_IF_ERROR(CheckScales(node, 1, *input->codes));
    node.SetResult(0, {.value = input->value, .rounded = input->codes});
    return absl::OkStatus();
  }
  if (!input->ints.has_value()) return CannotRead("dequantizes what is no code");
  const KnownInts codes = *input->ints;
  OnnxValue value;
  if (codes.type == TensorProto::INT32) {  // A bias, which stays float.
    OnnxScales scales;
    MASE_ASSIGN_OR_RETURN(const Tensor scale, node.Floats(1));
    scales.scale.assign(scale.data<float>().begin(), scale.data<float>().end());
    if (node.HasInput(2)) {
      MASE_ASSIGN_OR_RETURN(const KnownInts zero, node.WholeNumbers(2));
      MASE_ASSIGN_OR_RETURN(scales.zero, zero.Numbers());
      if (scales.zero.size() != scales.scale.size()) return BadNode("zero points do not fit");
    }
    const int64_t last = codes.shape.rank() == 1 ? 0 : axis;
    MASE_ASSIGN_OR_RETURN(value.floats, Dequantized(codes, scales, last, block));
  } else {
    MASE_ASSIGN_OR_RETURN(const OnnxScales scales, ReadOnnxScales(node, 1, codes.type));
    MASE_ASSIGN_OR_RETURN(value.floats, Dequantized(codes, scales, axis, block));
    MASE_ASSIGN_OR_RETURN(value.rounded, FormatOfScales(scales, codes.shape, axis, block));
  }
  node.SetResult(0, std::move(value));
  return absl::OkStatus();
}

// The input that is codes by the scales behind it: what they are codes of, and the format.
absl::StatusOr<Value*> Codes(OnnxNode& node, int input, FormatProto* format) {
  const OnnxValue* codes = node.Input(input);
  if (codes == nullptr || !codes->codes.has_value()) return CannotRead("reads no codes");
  if (!codes->codes->has_affine()) return CannotRead("reads codes of 8-bit floats");
  MASE_RETURN_IF_ERROR(CheckScales(node, input + 1, *codes->codes));
  *format = *codes->codes;
  return codes->value;
}

// QLinearConv and QLinearMatMul: a layer with rounded input and weight, whose result is codes.
struct QuantizedLayer {
  Value* x = nullptr;
  FormatProto in, weight_format;
  std::optional<FormatProto> out;  // None: the result is floats.
  Tensor weight;
  OnnxScales in_scales, weight_scales;
};

// `out` is the input that is the result's scale.
absl::StatusOr<QuantizedLayer> ReadLayer(OnnxNode& node, int64_t axis, int out) {
  QuantizedLayer layer;
  MASE_ASSIGN_OR_RETURN(layer.x, Codes(node, 0, &layer.in));
  MASE_ASSIGN_OR_RETURN(layer.in_scales, ReadOnnxScales(node, 1, TensorProto::UINT8));
  MASE_ASSIGN_OR_RETURN(const KnownInts codes, node.WholeNumbers(3));
  MASE_ASSIGN_OR_RETURN(layer.weight_scales, ReadOnnxScales(node, 4, codes.type));
  MASE_ASSIGN_OR_RETURN(layer.weight, Dequantized(codes, layer.weight_scales, axis, 0));
  MASE_ASSIGN_OR_RETURN(layer.weight_format,
                        FormatOfScales(layer.weight_scales, codes.shape, axis, 0));
  if (!node.HasInput(out)) return layer;
  MASE_ASSIGN_OR_RETURN(const OnnxScales scales, ReadOnnxScales(node, out, TensorProto::UINT8));
  if (scales.scale.size() != 1) return CannotRead("has several scales for its result");
  MASE_ASSIGN_OR_RETURN(layer.out, FormatOfScales(scales, Shape(), 0, 0));
  return layer;
}

// A bias in the steps of the products.
absl::StatusOr<std::optional<Tensor>> ReadBias(OnnxNode& node, int input,
                                               const QuantizedLayer& layer) {
  if (!node.HasInput(input)) return std::nullopt;
  MASE_ASSIGN_OR_RETURN(const KnownInts codes, node.WholeNumbers(input));
  OnnxScales scales;
  for (const float scale : layer.weight_scales.scale) {
    scales.scale.push_back(scale * layer.in_scales.scale[0]);
  }
  MASE_ASSIGN_OR_RETURN(Tensor bias, Dequantized(codes, scales, 0, 0));
  return bias;
}

absl::Status SetCodes(OnnxNode& node, const QuantizedLayer& layer, Value* result) {
  Graph& graph = node.importer().graph();
  Node* made = result->producer();
  MASE_RETURN_IF_ERROR(RoundOperand(graph, made, operands::kDataIn, layer.in));
  MASE_RETURN_IF_ERROR(RoundOperand(graph, made, operands::kWeight, layer.weight_format));
  node.SetResult(0, {.value = result, .codes = layer.out});
  return absl::OkStatus();
}

absl::Status QLinearConv(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const QuantizedLayer layer, ReadLayer(node, 0, 6));
  MASE_ASSIGN_OR_RETURN(const std::optional<Tensor> bias, ReadBias(node, 8, layer));
  MASE_ASSIGN_OR_RETURN(Value * result, AddConv(node, layer.x, layer.weight, bias, ""));
  return SetCodes(node, layer, result);
}

// ONNX Runtime's: a linear layer with a bias. Without a scale of the result that is floats.
absl::Status QGemm(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t transposed, node.Int("transB", 0));
  MASE_ASSIGN_OR_RETURN(const int64_t first, node.Int("transA", 0));
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 1));
  if (first != 0 || alpha != 1) return CannotRead("has transA, or an alpha other than 1");
  MASE_ASSIGN_OR_RETURN(QuantizedLayer layer, ReadLayer(node, transposed != 0 ? 0 : 1, 7));
  if (layer.weight.shape().rank() != 2) return CannotRead("takes a constant matrix alone");
  if (transposed == 0) {
    auto* blocks = layer.weight_format.mutable_affine()->mutable_block_size();
    std::reverse(blocks->begin(), blocks->end());
    layer.weight = Transposed(layer.weight);
  }
  MASE_ASSIGN_OR_RETURN(const std::optional<Tensor> bias, ReadBias(node, 6, layer));
  MASE_ASSIGN_OR_RETURN(Value * result, AddLinear(node, layer.x, layer.weight, bias, ""));
  return SetCodes(node, layer, result);
}

absl::Status QLinearMatMul(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(QuantizedLayer layer, ReadLayer(node, 1, 6));
  if (layer.weight.shape().rank() != 2) return CannotRead("takes a constant matrix alone");
  auto* blocks = layer.weight_format.mutable_affine()->mutable_block_size();
  std::reverse(blocks->begin(), blocks->end());
  MASE_ASSIGN_OR_RETURN(Value * result,
                        AddLinear(node, layer.x, Transposed(layer.weight), std::nullopt, ""));
  return SetCodes(node, layer, result);
}

// QONNX's: rounds to whole multiples of a scale, of so many bits.
absl::Status Quant(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const bool is_signed, node.Int("signed", 1));
  MASE_ASSIGN_OR_RETURN(const int64_t narrow, node.Int("narrow", 0));
  MASE_ASSIGN_OR_RETURN(const std::string mode, node.String("rounding_mode", "ROUND"));
  MASE_ASSIGN_OR_RETURN(const Tensor scale, node.Floats(1));
  MASE_ASSIGN_OR_RETURN(const Tensor zero, node.Floats(2));
  MASE_ASSIGN_OR_RETURN(const Tensor width, node.Floats(3));
  if (narrow != 0 || mode != "ROUND" || zero.elements() != 1 || zero.data<float>()[0] != 0 ||
      width.elements() != 1) {
    return CannotRead("takes narrow=0, rounding_mode='ROUND', zero point 0 and one width alone");
  }
  const float bits = width.data<float>()[0];
  if (!(bits >= 1 && bits <= 24) || bits != std::floor(bits)) {
    return CannotRead("has ", bits, " bits; 1 to 24 can be read");
  }
  OnnxScales scales;
  scales.codes = {0, static_cast<int>(bits), is_signed, 0};
  for (const float number : scale.data<float>()) {
    if (!(number >= std::numeric_limits<float>::min() && std::isfinite(number))) {
      return BadNode("has a scale of ", number);
    }
    scales.scale.push_back(number);
  }
  const OnnxValue* input = node.Input(0);
  if (input->floats.has_value()) {
    // Scales broadcast: one for each element of axis 0, or one.
    Tensor rounded = *input->floats;
    MASE_ASSIGN_OR_RETURN(const OnnxScaleIndex index,
                          OnnxScaleIndex::Create(scales, rounded.shape(), 0, 0));
    int64_t i = 0;
    for (float& number : rounded.mutable_data<float>()) {
      const float step = scales.scale[index(i++)];
      const double steps = std::nearbyint(number / step);
      number = static_cast<float>(std::clamp(steps, static_cast<double>(scales.codes.least()),
                                             static_cast<double>(scales.codes.most()))) *
               step;
    }
    OnnxValue value;
    MASE_ASSIGN_OR_RETURN(value.rounded, FormatOfScales(scales, rounded.shape(), 0, 0));
    value.floats = std::move(rounded);
    node.SetResult(0, std::move(value));
    return absl::OkStatus();
  }
  if (input->value == nullptr || input->codes.has_value() || scales.scale.size() != 1) {
    return CannotRead("rounds what the net computes by one scale alone");
  }
  MASE_ASSIGN_OR_RETURN(const FormatProto format, FormatOfScales(scales, Shape(), 0, 0));
  MASE_ASSIGN_OR_RETURN(Value * value, RoundedBefore(node, format));
  node.SetResult(0, {.value = value, .rounded = format});
  return absl::OkStatus();
}

// Their constants are folded here.
template <absl::Status (*kImport)(OnnxNode& node)>
absl::StatusOr<bool> Do(OnnxNode& node) {
  if (node.Input(0) == nullptr) return BadNode("has no input");
  MASE_RETURN_IF_ERROR(kImport(node));
  return true;
}

}  // namespace

std::vector<OnnxOp> OnnxQuantizedOps() {
  return {
      {.name = "QuantizeLinear",
       .becomes = "a record",
       .limits =
           "integers of 4, 8 and 16 bits, floats of 8 that saturate; one scale for what the net "
           "computes",
       .fold = Do<QuantizeLinear>,
       .reads_codes = true},
      {.name = "DequantizeLinear",
       .becomes = "a record",
       .limits = "scales as in QuantizeLinear",
       .fold = Do<DequantizeLinear>,
       .reads_codes = true},
      {.name = "QLinearConv",
       .becomes = "conv1d or conv2d with a record",
       .limits = "constant weights",
       .fold = Do<QLinearConv>,
       .reads_codes = true},
      {.name = "QLinearMatMul",
       .becomes = "linear with a record",
       .limits = "a constant matrix",
       .fold = Do<QLinearMatMul>,
       .reads_codes = true},
      {.name = "QGemm",
       .becomes = "linear with a record",
       .limits = "a constant matrix",
       .fold = Do<QGemm>,
       .domain = "com.microsoft",
       .reads_codes = true},
      {.name = "Quant",
       .becomes = "a record",
       .limits = "rounding_mode ROUND, no zero point, not narrow",
       .fold = Do<Quant>,
       .domain = "qonnx.custom_op.general"},
  };
}

}  // namespace mase
