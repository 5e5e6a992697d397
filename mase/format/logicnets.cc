#include "mase/format/logicnets.h"

#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "logicnets";
constexpr absl::string_view kOps[] = {ops::kLinear, ops::kConv2d};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"frac_width", FamilyParameter::kOptional, true},
};

// An operand is an integer: everything is the integer family's, but the name.
class LogicNetsOperand final : public Format {
 public:
  LogicNetsOperand(const FormatProto& proto, std::unique_ptr<const Format> integer)
      : Format(proto), integer_(std::move(integer)) {}

  int code_bits() const override { return integer_->code_bits(); }
  double BitsPerValue(const Shape& shape) const override { return integer_->BitsPerValue(shape); }
  double lowest() const override { return integer_->lowest(); }
  double highest() const override { return integer_->highest(); }
  double step() const override { return integer_->step(); }
  std::vector<float> Values() const override { return integer_->Values(); }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t seed) const override {
    return integer_->Quantize(src, dst, shape, seed);
  }
  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override {
    return integer_->FindSaturated(src, saturated, shape);
  }
  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override {
    MASE_ASSIGN_OR_RETURN(*encoded, integer_->Encode(Tensor::FromValues<float>(
                                        shape, {src, static_cast<size_t>(shape.elements())})));
    return absl::OkStatus();
  }
  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override {
    MASE_ASSIGN_OR_RETURN(const Tensor values, integer_->Decode(encoded));
    const auto data = values.data<float>();
    std::copy(data.begin(), data.end(), dst);
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<const Format> integer_;
};

FormatProto IntegerOf(const FormatProto& proto) {
  FormatProto integer = proto;
  if (proto.has_logicnets()) {
    const LogicNetsFormat& logicnets = proto.logicnets();
    integer.mutable_integer()->set_width(logicnets.width());
    if (logicnets.has_frac_width()) {
      integer.mutable_integer()->set_frac_width(logicnets.frac_width());
    }
  }
  return WithDefaults(integer);
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  MASE_ASSIGN_OR_RETURN(auto integer, Format::Create(IntegerOf(proto)));
  return std::make_unique<LogicNetsOperand>(proto, std::move(integer));
}

}  // namespace

absl::StatusOr<LogicNetsNeuron> BuildLogicNetsNeuron(
    absl::Span<const float> weights, float bias, const FormatProto& x, const FormatProto& y,
    const std::function<float(float)>& activation) {
  const FormatProto x_integer = IntegerOf(x), y_integer = IntegerOf(y);
  if (!x_integer.has_integer() || !y_integer.has_integer()) {
    return absl::InvalidArgumentError(absl::StrCat(kName,
                                                   ": inputs and outputs are integer formats, not ",
                                                   FormatText(x), " and ", FormatText(y)));
  }
  MASE_ASSIGN_OR_RETURN(const auto output, Format::Create(y_integer));
  MASE_RETURN_IF_ERROR(Format::Create(x_integer).status());
  LogicNetsNeuron neuron;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) neuron.inputs.push_back(static_cast<int>(i));
  }
  if (neuron.inputs.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(kName, ": a neuron without non-zero weights"));
  }
  const int width = x_integer.integer().width();
  const int64_t table_bits = int64_t{width} * static_cast<int64_t>(neuron.inputs.size());
  if (table_bits > kMaxLogicNetsTableBits) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kName, ": ", neuron.inputs.size(), " inputs of ", width, " bits need 2^",
                     table_bits, " table entries, limit 2^", kMaxLogicNetsTableBits));
  }
  const int x_fraction = x_integer.integer().frac_width();
  const bool reference = y.semantics() == FormatProto::REFERENCE;
  const int y_fraction = reference ? x_fraction : y_integer.integer().frac_width();
  const int64_t lowest = !x_integer.integer().is_signed() ? 0 : -(int64_t{1} << (width - 1));
  neuron.table.resize(int64_t{1} << table_bits);
  for (size_t state = 0; state < neuron.table.size(); ++state) {
    float sum = 0;
    for (size_t i = 0; i < neuron.inputs.size(); ++i) {
      const int64_t digit = static_cast<int64_t>(state >> (i * width)) & ((1 << width) - 1);
      sum +=
          weights[neuron.inputs[i]] * std::ldexp(static_cast<float>(digit + lowest), -x_fraction);
    }
    sum += bias;
    if (activation) sum = activation(sum);
    float value;
    MASE_RETURN_IF_ERROR(output->Quantize(&sum, &value, Shape()));
    neuron.table[state] = static_cast<int32_t>(std::ldexp(value, y_fraction));
  }
  return neuron;
}

int64_t LogicNetsState(absl::Span<const int32_t> codes, int width) {
  int64_t state = 0;
  for (size_t i = 0; i < codes.size(); ++i) {
    state |= (int64_t{codes[i]} + (int64_t{1} << (width - 1))) << (i * width);
  }
  return state;
}

const Family& LogicNetsFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kLogicnets,
      .name = kName,
      .class_suffix = "LogicNets",
      .summary = "integer operands; neurons become truth tables",
      .example = "logicnets { width: 2 frac_width: 0 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .scheme = OperandScheme::kInputAndOutput,
      .ops = kOps,
  };
  return kFamily;
}

}  // namespace mase
