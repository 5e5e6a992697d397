// Layers as ops on codes: QLinearConv of ONNX, and QGemm of ONNX Runtime's own domain, since ONNX's
// QLinearMatMul has no bias.
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/onnx/exporter.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

using ::onnx::TensorProto;

constexpr char kMicrosoft[] = "com.microsoft";
constexpr double kLargestInt32 = 2147483647;

// Ops whose rule writes one op of ONNX that takes codes as well as numbers.
constexpr absl::string_view kOnAnything[] = {
    ops::kMaxPool1d, ops::kMaxPool2d, ops::kCat,     ops::kPermute, ops::kTranspose,
    ops::kFlatten,   ops::kView,      ops::kReshape, ops::kDropout, ops::kIdentity};

}  // namespace

absl::StatusOr<Exporter::Encoding> Exporter::EncodingOf(const Codes& codes) const {
  if (codes.rounding != Codes::Rounding::kNearestEven) {
    return CannotWrite("rounds in another way than to nearest, ties to even; ONNX has that alone");
  }
  WholeNumbers numbers;
  numbers.blocks.push_back({codes.scale, codes.least(), codes.most()});
  return EncodingOf(std::move(numbers), Types::kBytes);
}

absl::StatusOr<Exporter::Names> Exporter::CodesOf(const Node& producer, const Codes& codes) {
  Result& result = results_[producer.id()];
  for (const auto& [known, names] : result.codes) {
    if (known == codes) return names;
  }
  MASE_ASSIGN_OR_RETURN(const Encoding encoding, EncodingOf(codes));
  const std::string floats = FloatsOf(producer);
  std::string name = absl::StrCat(producer.name(), ".codes");
  if (!result.codes.empty()) name = writer_.Fresh(name);
  ++rounded_;
  const Names names = AddQuantizeLinear(floats, name, encoding);
  results_[producer.id()].codes.emplace_back(codes, names);
  return names;
}

absl::StatusOr<bool> Exporter::AddOnCodes(const Node& node) {
  const absl::StatusOr<IntegerPlan>& plan = plans_->of(node);
  const bool layer =
      node.op() == ops::kLinear || node.op() == ops::kConv1d || node.op() == ops::kConv2d;
  if (plan.ok() && layer) return AddIntegerLayer(node, *plan);
  if (KeepsCodes(node) && (plan.ok() || absl::IsNotFound(plan.status()))) {
    return AddKeepingCodes(node);
  }
  return false;
}

absl::StatusOr<bool> Exporter::AddKeepingCodes(const Node& node) {
  const absl::StatusOr<IntegerPlan>& plan = plans_->of(node);
  if (plan.ok() && plan->result.has_value() && *plan->result != plan->inputs[0]) return false;
  const bool relu = node.op() == ops::kRelu;
  if (!relu && !absl::c_linear_search(kOnAnything, node.op())) return false;
  std::optional<Codes> codes;
  if (plan.ok()) codes = plan->inputs[0];
  for (const Value* input : node.inputs()) {
    if (plan.ok() || input->producer()->Is(OpTrait::kFromShapes)) continue;
    const Result& result = results_[input->producer()->id()];
    const bool made_of_codes = !result.codes.empty() && result.floats.empty();
    if (!made_of_codes || (codes.has_value() && *codes != result.codes[0].first)) return false;
    codes = result.codes[0].first;
  }
  if (!codes.has_value()) return false;
  const absl::StatusOr<Encoding> encoding = EncodingOf(*codes);
  if (!encoding.ok()) return false;
  std::vector<std::string> in;
  Names names;
  for (const Value* input : node.inputs()) {
    if (input->producer()->Is(OpTrait::kFromShapes)) continue;
    MASE_ASSIGN_OR_RETURN(names, CodesOf(*input->producer(), *codes));
    in.push_back(names.codes);
  }
  names.codes = absl::StrCat(node.name(), ".codes");
  if (relu) {
    const std::string zero =
        writer_.Constant(absl::StrCat(names.codes, ".zero"), Shape(), encoding->type->type,
                         PackCodesFor(*encoding->type, {encoding->zero}));
    writer_.Add("Clip", {in[0], zero}, names.codes);
  } else {
    MASE_RETURN_IF_ERROR(WriteByRule(*this, node, in, names.codes));
  }
  results_[node.id()].codes.emplace_back(*codes, names);
  return true;
}

absl::StatusOr<bool> Exporter::AddIntegerLayer(const Node& node, const IntegerPlan& plan) {
  const auto as_qdq = [&](const auto&... why) {
    as_qdq_.push_back(absl::StrCat("'", node.name(), "' ", why...));
    return false;
  };
  const bool linear = node.op() == ops::kLinear;
  const Node& producer = *node.inputs()[0]->producer();
  if (linear && InputShape(node).rank() != 2) return as_qdq("reads no rows of vectors");
  if (!EncodingOf(plan.inputs[0]).ok()) return as_qdq("reads codes of more than 8 bits");
  const GraphTensor& stored = *graph_.FindTensor(*node.FindParameter(operands::kWeight));
  const Shape& shape = stored.value.shape();
  const absl::StatusOr<TensorCodes> found = CodesOfTensor(
      node, stored, operands::kWeight, *FindFormat(node, operands::kWeight), Types::kBytes);
  if (!found.ok()) return as_qdq("has weights of more than 8 bits");
  const TensorCodes& weight = *found;

  // What the result becomes: codes that its record or its readers ask for, or numbers.
  std::optional<Codes> result = plan.result.has_value() ? plan.result : plans_->wanted(node);
  std::optional<Encoding> encoding;
  if (result.has_value()) {
    absl::StatusOr<Encoding> byte = EncodingOf(*result);
    if (byte.ok()) encoding = *std::move(byte);
  }
  if (!linear && !encoding.has_value()) return as_qdq("is read as numbers, not as codes");
  // ONNX would allow it.
  if (encoding.has_value() &&
      encoding->type->is_signed != EncodingOf(plan.inputs[0])->type->is_signed) {
    return as_qdq("turns signed codes into unsigned ones or back, which ONNX Runtime cannot");
  }
  if (plan.result.has_value() && !encoding.has_value()) return false;

  // The bias in the steps of the products.
  const int64_t outputs = shape[0], depth = shape.elements() / std::max<int64_t>(outputs, 1);
  std::vector<int32_t> biases;
  std::string later;  // A bias that is added to the numbers.
  if (const std::string* name = node.FindParameter(operands::kBias); name != nullptr) {
    const GraphTensor& bias = *graph_.FindTensor(*name);
    std::vector<float> rounded(bias.value.data<float>().begin(), bias.value.data<float>().end());
    if (const FormatProto* format = FindFormat(node, operands::kBias); format != nullptr) {
      MASE_ASSIGN_OR_RETURN(const OperandView view, ViewOperand(node, operands::kBias, *format,
                                                                bias.value.shape(), shapes_));
      MASE_RETURN_IF_ERROR(
          view.format->Quantize(bias.value.data<float>().data(), rounded.data(), view.shape));
    }
    const double largest_in = std::max(std::abs(plan.inputs[0].least()), plan.inputs[0].most());
    bool whole = true;
    for (int64_t o = 0; o < outputs; ++o) {
      const double unit = static_cast<double>(plan.inputs[0].scale) * weight.step_of(o);
      const double code = rounded[o] / unit;
      double size = std::fabs(code);
      for (int64_t k = 0; k < depth; ++k) {
        size += std::fabs(weight.rounded[o * depth + k]) / weight.step_of(o) * largest_in;
      }
      whole &= code == std::nearbyint(code) && size <= kLargestInt32;
      if (whole) biases.push_back(static_cast<int32_t>(code));
    }
    if (!whole) {
      if (!linear || encoding.has_value()) {
        return as_qdq("has a bias that is no whole number of its products' steps");
      }
      biases.clear();
      later = writer_.Floats(absl::StrCat(*name, ".of_", node.name()), bias.value.shape(), rounded);
    }
    ++rounded_;
  }

  MASE_ASSIGN_OR_RETURN(const Names in, CodesOf(producer, plan.inputs[0]));
  const std::string base = absl::StrCat(stored.name, ".of_", node.name());
  const Names stored_weight = StoreCodes(base, shape, weight);
  ++rounded_;
  std::string bias;
  if (!biases.empty()) {
    bias = writer_.Constant(
        absl::StrCat(base, ".bias"), {outputs}, TensorProto::INT32,
        std::string(reinterpret_cast<const char*>(biases.data()), biases.size() * sizeof(int32_t)));
  }
  std::vector<std::string> inputs = {
      in.codes, in.scale, in.zero, stored_weight.codes, stored_weight.scale, stored_weight.zero};
  if (!encoding.has_value()) {
    if (!bias.empty()) inputs.push_back(bias);
    const std::string product = later.empty() ? node.name() : absl::StrCat(node.name(), ".product");
    OnnxWriter::SetInt(writer_.Add("QGemm", inputs, product, kMicrosoft), "transB", 1);
    if (!later.empty()) writer_.Add("Add", {product, later}, node.name());
    results_[node.id()].floats = node.name();
    return true;
  }
  const std::string out = absl::StrCat(node.name(), ".codes");
  const Names names = AddScales(out, *encoding);
  // Results saturate at the ends of their type; narrower ones are cut there.
  const std::string wide = encoding->fills_type() ? out : absl::StrCat(out, ".wide");
  if (linear) {
    inputs.insert(inputs.end(), {bias, names.scale, names.zero});
    OnnxWriter::SetInt(writer_.Add("QGemm", inputs, wide, kMicrosoft), "transB", 1);
  } else {
    inputs.insert(inputs.end(), {names.scale, names.zero});
    if (!bias.empty()) inputs.push_back(bias);
    SetWindows(node, writer_.Add("QLinearConv", inputs, wide));
  }
  if (wide != out) {
    const auto end = [&](const char* which, int64_t code) {
      return writer_.Constant(absl::StrCat(out, which), Shape(), encoding->type->type,
                              PackCodesFor(*encoding->type, {code}));
    };
    writer_.Add("Clip", {wide, end(".least", encoding->least()), end(".most", encoding->most())},
                out);
  }
  results_[node.id()].codes.emplace_back(*result, names);
  return true;
}

}  // namespace mase
