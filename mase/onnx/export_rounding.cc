// Records of number formats as ops of ONNX that round.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/onnx/exporter.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr char kQonnxDomain[] = "qonnx.custom_op.general";

std::vector<float> StepsOf(const WholeNumbers& numbers) {
  std::vector<float> steps;
  for (const WholeNumbers::Block& block : numbers.blocks) steps.push_back(block.step);
  return steps;
}

// One scale is a number, several are a list.
Shape ShapeOfScales(size_t scales) {
  return scales == 1 ? Shape() : Shape({static_cast<int64_t>(scales)});
}

// The type whose numbers are those of the format; null where the format is no small float. What
// would be lost is an error.
absl::StatusOr<const Float8Type*> Float8Of(const FormatProto& proto, int64_t opset) {
  const bool by_element = proto.has_minifloat() || proto.has_minifloat_ieee() ||
                          proto.has_minifloat_denorm() ||
                          (proto.has_mx() && !proto.mx().has_block_size());
  if (!by_element) return nullptr;
  MASE_ASSIGN_OR_RETURN(const auto format, Format::Create(proto));
  const bool even = proto.rounding() == FormatProto::NEAREST_EVEN ||
                    (proto.rounding() == FormatProto::ROUNDING_DEFAULT &&
                     (!proto.has_minifloat() || format->proto().minifloat().round_mode() == "rn"));
  const std::vector<float> values = format->Values();
  std::string lost = "numbers that no 8-bit float of ONNX has";
  for (const Float8Type& type : kFloat8Types) {
    std::vector<double> has;
    for (int code = 0; code < 256; ++code) has.push_back(type.ValueOf(static_cast<uint8_t>(code)));
    has.erase(std::remove_if(has.begin(), has.end(), [](double x) { return std::isnan(x); }),
              has.end());
    absl::c_sort(has);
    has.erase(std::unique(has.begin(), has.end()), has.end());
    const bool equal =
        has.size() == values.size() && std::equal(values.begin(), values.end(), has.begin(),
                                                  [](float a, double b) { return a == b; });
    if (equal) {
      if (!even || proto.overflow() != FormatProto::SATURATE) {
        return CannotWrite("rounds, or ends, in another way than ", type.name,
                           ": to nearest, ties to even, at its largest number");
      }
      if (opset < kFloat8Opset) {
        return CannotWrite("is ", type.name, ", which opset ", opset, " has not; --opset=21 has");
      }
      return &type;
    }
    for (const float value : values) {
      const bool near = values.size() + 4 >= has.size() && values.size() <= has.size() + 8;
      if (!near || absl::c_binary_search(has, static_cast<double>(value))) continue;
      lost = absl::StrCat(value, ", which ", type.name, " has not");
    }
  }
  return CannotWrite("has ", lost);
}

}  // namespace

const FormatProto* Exporter::FormatOf(const Node& node, absl::string_view operand) const {
  if (target_.form == OnnxForm::kFloat || operand.empty()) return nullptr;
  return FindFormat(node, operand);
}

absl::StatusOr<Exporter::Encoding> Exporter::EncodingOf(WholeNumbers numbers, Types types) const {
  Encoding encoding;
  encoding.numbers = std::move(numbers);
  const int64_t least = encoding.numbers.blocks[0].least, most = encoding.numbers.blocks[0].most;
  for (const CodeType& type : kCodeTypes) {
    if (type.opset > target_.opset || (types == Types::kBytes && type.width != 8)) continue;
    encoding.zero = type.is_signed ? 0 : std::max<int64_t>(-least, 0);
    if (encoding.least() < type.least() || encoding.most() > type.most()) continue;
    encoding.type = &type;
    return encoding;
  }
  const int width = encoding.numbers.width();
  if (width <= 8)
    return CannotWrite("has codes from ", least, " to ", most, ", which are no bytes");
  return CannotWrite("has codes of ", width, " bits; opset ", target_.opset, " takes up to ",
                     target_.opset >= 21 ? "16" : "8, --opset=21 up to 16",
                     ". `ch export qonnx` takes up to 24");
}

absl::StatusOr<Exporter::Encoding> Exporter::EncodingOf(const FormatProto& format,
                                                        const Shape& shape, bool per_output,
                                                        Types types) const {
  MASE_ASSIGN_OR_RETURN(WholeNumbers numbers, WholeNumbersOf(format));
  if (numbers.rounding != FormatProto::NEAREST_EVEN || !numbers.rounds_by_step) {
    return CannotWrite("rounds in another way than to nearest, ties to even; ONNX has that alone");
  }
  const int64_t least = numbers.blocks[0].least, most = numbers.blocks[0].most;
  if (numbers.blocks.size() > 1) {
    bool fits = per_output && static_cast<int64_t>(numbers.blocks.size()) == shape[0] &&
                static_cast<int>(numbers.block_size.size()) == shape.rank() &&
                numbers.block_size[0] == 1;
    for (int axis = 1; fits && axis < shape.rank(); ++axis) {
      fits = numbers.block_size[axis] == -1 || numbers.block_size[axis] >= shape[axis];
    }
    for (const WholeNumbers::Block& block : numbers.blocks) {
      fits &= block.least == least && block.most == most;
    }
    if (!fits) {
      return CannotWrite("has ", numbers.blocks.size(), " scales; one, or of weights ",
                         "one for each output, can be written");
    }
  }
  if (target_.form != OnnxForm::kQonnx) return EncodingOf(std::move(numbers), types);
  Encoding encoding;
  encoding.numbers = std::move(numbers);
  return encoding;
}

Exporter::Names Exporter::AddScales(const std::string& codes, const Encoding& encoding) {
  const std::vector<float> steps = StepsOf(encoding.numbers);
  const Shape shape = ShapeOfScales(steps.size());
  Names names = {codes, absl::StrCat(codes, ".scale"), absl::StrCat(codes, ".zero_point")};
  writer_.Floats(names.scale, shape, steps);
  writer_.Constant(names.zero, shape, encoding.type->type,
                   PackCodesFor(*encoding.type, std::vector<int64_t>(steps.size(), encoding.zero)));
  return names;
}

Exporter::Names Exporter::AddQuantizeLinear(const std::string& in, const std::string& codes,
                                            const Encoding& encoding) {
  const WholeNumbers::Block& block = encoding.numbers.blocks[0];
  std::string from = in;
  if (!encoding.fills_type()) {
    from = absl::StrCat(codes, ".cut");
    const double least = static_cast<double>(block.least) * block.step;
    const double most = static_cast<double>(block.most) * block.step;
    writer_.Add("Clip", {in, writer_.Number(codes, least), writer_.Number(codes, most)}, from);
  }
  Names names = AddScales(codes, encoding);
  writer_.Add("QuantizeLinear", {from, names.scale, names.zero}, codes);
  return names;
}

void Exporter::AddDequantizeLinear(const Names& codes, const std::string& out) {
  OnnxWriter::SetInt(writer_.Add("DequantizeLinear", {codes.codes, codes.scale, codes.zero}, out),
                     "axis", 0);
}

// Quant of QONNX: numbers between the format's ends.
absl::Status Exporter::AddQuant(const std::string& in, const std::string& out,
                                const WholeNumbers& numbers, const Shape& shape) {
  const int64_t least = numbers.blocks[0].least, most = numbers.blocks[0].most;
  const bool is_signed = least < 0;
  const int width = numbers.width();
  const int64_t lo = is_signed ? -(int64_t{1} << (width - 1)) : 0;
  if (least != lo || most != lo + (int64_t{1} << width) - 1) {
    return CannotWrite("has a zero point, or ends that are not those of its width; QONNX's Quant ",
                       "is written without");
  }
  const std::vector<float> steps = StepsOf(numbers);
  Shape scales;
  if (steps.size() > 1) {
    scales.push_back(static_cast<int64_t>(steps.size()));
    for (int axis = 1; axis < shape.rank(); ++axis) scales.push_back(1);
  }
  const std::string scale = writer_.Floats(absl::StrCat(out, ".scale"), scales, steps);
  ::onnx::NodeProto& node = writer_.Add(
      "Quant", {in, scale, writer_.Number(out, 0), writer_.Number(out, width)}, out, kQonnxDomain);
  OnnxWriter::SetInt(node, "signed", is_signed);
  OnnxWriter::SetInt(node, "narrow", 0);
  OnnxWriter::SetText(node, "rounding_mode", "ROUND");
  return absl::OkStatus();
}

absl::Status Exporter::AddFloat8(const std::string& in, const std::string& out,
                                 const Float8Type& type) {
  const std::string codes = absl::StrCat(out, ".codes");
  const std::string scale = writer_.Number(out, 1);
  // Without a zero point: where there is one, ONNX Runtime 1.32 takes it for a uint8, and a Relu in
  // front of it for needless.
  OnnxWriter::SetInt(writer_.Add("QuantizeLinear", {in, scale}, codes), "output_dtype", type.type);
  writer_.Add("DequantizeLinear", {codes, scale}, out);
  return absl::OkStatus();
}

absl::StatusOr<Exporter::TensorCodes> Exporter::CodesOfTensor(const Node& node,
                                                              const GraphTensor& tensor,
                                                              absl::string_view operand,
                                                              const FormatProto& given,
                                                              Types types) const {
  const Shape& shape = tensor.value.shape();
  MASE_ASSIGN_OR_RETURN(const OperandView view, ViewOperand(node, operand, given, shape, shapes_));
  absl::StatusOr<Encoding> encoding = EncodingOf(view.format->proto(), shape, true, types);
  if (!encoding.ok()) return Annotate(encoding.status(), operand);
  TensorCodes codes = {*std::move(encoding), std::vector<float>(shape.elements()), {}};
  MASE_RETURN_IF_ERROR(
      view.format->Quantize(tensor.value.data<float>().data(), codes.rounded.data(), view.shape));
  if (target_.form == OnnxForm::kQonnx) return codes;
  const int64_t blocks = static_cast<int64_t>(codes.encoding.numbers.blocks.size());
  const int64_t per_block = std::max<int64_t>(shape.elements() / blocks, 1);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const double step = codes.step_of(i / per_block);
    const double number = std::nearbyint(codes.rounded[i] / step);
    if (!std::isfinite(number)) return CannotWrite(operand, " holds a number without a code");
    codes.codes.push_back(static_cast<int64_t>(number) + codes.encoding.zero);
  }
  return codes;
}

Exporter::Names Exporter::StoreCodes(const std::string& base, const Shape& shape,
                                     const TensorCodes& codes) {
  const std::string name = absl::StrCat(base, ".codes");
  const CodeType& type = *codes.encoding.type;
  writer_.Constant(name, shape, type.type, PackCodesFor(type, codes.codes));
  return AddScales(name, codes.encoding);
}

absl::StatusOr<std::string> Exporter::RoundedTensor(const Node& node, const GraphTensor& tensor,
                                                    absl::string_view operand,
                                                    const FormatProto& given) {
  const Shape& shape = tensor.value.shape();
  const std::string out = absl::StrCat(tensor.name, ".of_", node.name());
  const absl::StatusOr<const Float8Type*> float8 = Float8Of(given, target_.opset);
  if (target_.form != OnnxForm::kQonnx && !float8.ok()) return Annotate(float8.status(), operand);
  ++rounded_;
  const bool as_float8 = target_.form != OnnxForm::kQonnx && *float8 != nullptr;
  if (target_.form == OnnxForm::kQonnx || as_float8) {
    if (written_.insert(tensor.name).second) {
      writer_.Floats(tensor.name, shape, tensor.value.data<float>());
    }
    if (as_float8) {
      MASE_RETURN_IF_ERROR(AddFloat8(tensor.name, out, **float8));
      return out;
    }
  }
  MASE_ASSIGN_OR_RETURN(const TensorCodes codes,
                        CodesOfTensor(node, tensor, operand, given, Types::kAll));
  if (target_.form == OnnxForm::kQonnx) {
    MASE_RETURN_IF_ERROR(AddQuant(tensor.name, out, codes.encoding.numbers, shape));
  } else {
    AddDequantizeLinear(StoreCodes(out, shape, codes), out);
  }
  return out;
}

absl::StatusOr<std::string> Exporter::Rounded(const Node& node, absl::string_view operand,
                                              const std::string& in, const std::string& base,
                                              const Shape& shape) {
  const FormatProto* format = FormatOf(node, operand);
  if (format == nullptr) return in;
  ++rounded_;
  if (target_.form != OnnxForm::kQonnx) {
    const absl::StatusOr<const Float8Type*> float8 = Float8Of(*format, target_.opset);
    if (!float8.ok()) return Annotate(float8.status(), operand);
    if (*float8 != nullptr) {
      MASE_RETURN_IF_ERROR(AddFloat8(in, base, **float8));
      return base;
    }
  }
  absl::StatusOr<Encoding> encoding = EncodingOf(*format, shape, false, Types::kAll);
  if (!encoding.ok()) return Annotate(encoding.status(), operand);
  if (target_.form == OnnxForm::kQonnx) {
    MASE_RETURN_IF_ERROR(AddQuant(in, base, encoding->numbers, shape));
  } else {
    AddDequantizeLinear(AddQuantizeLinear(in, absl::StrCat(base, ".codes"), *encoding), base);
  }
  return base;
}

}  // namespace mase
