#include "mase/quantize/cost.h"

#include <bit>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/shared_format.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

// Whole numbers that are added and multiplied; remembers whether one left the range of int64.
class Counter {
 public:
  int64_t Times(int64_t a, int64_t b) {
    int64_t product = 0;
    overflow_ |= __builtin_mul_overflow(a, b, &product);
    return product;
  }
  int64_t Plus(int64_t a, int64_t b) {
    int64_t sum = 0;
    overflow_ |= __builtin_add_overflow(a, b, &sum);
    return sum;
  }
  // Of a number that is whole but for rounding.
  int64_t Whole(double number) {
    overflow_ |= !(std::abs(number) < 0x1p63);
    return overflow_ ? 0 : std::llround(number);
  }
  bool overflow() const { return overflow_; }

 private:
  bool overflow_ = false;
};

absl::StatusOr<double> ReferenceBits(const FormatProto& format) {
  double sum = 0;
  const std::vector<std::string> precision = PrecisionOf(format);
  for (const std::string& field : precision) {
    double number = 0;
    if (field == "True") {
      number = 1;  // As Python adds it.
    } else if (field != "False" && !absl::SimpleAtod(field, &number)) {
      return absl::InvalidArgumentError(
          absl::StrCat("MASE cannot add up the precision [", absl::StrJoin(precision, ", "),
                       "]; exact semantics count the bits that are there"));
    }
    sum += number;
  }
  return sum;
}

absl::StatusOr<double> FormatBits(const Node& node, absl::string_view operand,
                                  const FormatProto& format, const Shape& shape,
                                  const InferredShapes& shapes, BitCount count) {
  if (count == BitCount::kReference) return ReferenceBits(format);
  MASE_ASSIGN_OR_RETURN(const OperandView view, ViewOperand(node, operand, format, shape, shapes));
  if (count == BitCount::kCode && view.format->code_bits() > 0) return view.format->code_bits();
  const double bits = view.format->BitsPerValue(view.shape);
  return count == BitCount::kCode ? std::ceil(bits) : bits;
}

// The tensor of the module that belongs to an operand, or null.
const GraphTensor* FindTensorOf(const Graph& graph, const Node& node, absl::string_view operand) {
  const Parameter* parameter = FindParameter(node, operand);
  return parameter == nullptr ? nullptr : graph.FindTensor(parameter->tensor);
}

// One of the two operands of a node's arithmetic.
struct Factor {
  absl::string_view operand;
  ValueInfo info;
};

// The operand that is multiplied with the input: a tensor of the module, or the second input of a
// product.
std::optional<Factor> WeightOf(const Graph& graph, const Node& node, const InferredShapes& shapes) {
  if (const GraphTensor* weight = FindTensorOf(graph, node, operands::kWeight)) {
    return Factor{operands::kWeight, {weight->value.dtype(), weight->value.shape(), {}}};
  }
  for (const Operand& operand : OperandsOf(node)) {
    if (operand.source != Operand::Source::kInput || operand.role != operands::kWeight) continue;
    return Factor{operands::kWeight, shapes.info(node.inputs()[operand.index])};
  }
  return std::nullopt;
}

// Bits of an integer code without its sign; nothing for other formats.
std::optional<int64_t> MagnitudeBits(const FormatProto* format) {
  if (format == nullptr || !format->has_integer()) return std::nullopt;
  const IntegerFormat& integer = format->integer();
  const bool is_signed = !integer.has_is_signed() || integer.is_signed();
  return integer.width() - (is_signed ? 1 : 0);
}

// Of all numbers of a tensor in an integer format, the bits from the highest to the lowest one of
// the code's magnitude.
absl::StatusOr<int64_t> EffectiveBits(const FormatProto& format, const Tensor& tensor) {
  MASE_ASSIGN_OR_RETURN(const auto made, SharedFormat(format));
  MASE_ASSIGN_OR_RETURN(const Tensor rounded, made->Quantize(tensor));
  int64_t bits = 0;
  for (const float value : rounded.data<float>()) {
    const auto code = static_cast<uint64_t>(std::abs(static_cast<double>(value)) / made->step());
    if (code != 0) bits += std::bit_width(code) - std::countr_zero(code);
  }
  return bits;
}

absl::StatusOr<std::optional<int64_t>> Ebops(const Graph& graph, const Node& node, int64_t macs,
                                             Counter& counter) {
  const std::optional<int64_t> input = MagnitudeBits(FindFormat(node, operands::kDataIn));
  const FormatProto* format = FindFormat(node, operands::kWeight);
  const std::optional<int64_t> width = MagnitudeBits(format);
  if (macs == 0 || !input.has_value() || !width.has_value()) return std::nullopt;
  const GraphTensor* weight = FindTensorOf(graph, node, operands::kWeight);
  if (weight == nullptr) return counter.Times(macs, counter.Times(*input, *width));
  if (weight->value.elements() == 0) return 0;
  MASE_ASSIGN_OR_RETURN(const int64_t bits, EffectiveBits(*format, weight->value));
  // Every element of a weight is multiplied equally often.
  const int64_t uses = macs / weight->value.elements();
  return counter.Times(uses, counter.Times(*input, bits));
}

absl::StatusOr<NodeCost> CostOf(const Graph& graph, const Node& node, const InferredShapes& shapes,
                                FormatProto::Semantics semantics) {
  const bool exact = semantics == FormatProto::EXACT;
  NodeCost cost{&node};
  Counter counter;
  const bool sums = node.Is(OpTrait::kWeighted);
  for (const Parameter& parameter : node.parameters()) {
    const GraphTensor& tensor = *graph.FindTensor(parameter.tensor);
    if (tensor.buffer) continue;
    const bool is_bias = node.schema().TensorOperand(parameter.name) == operands::kBias;
    cost.parameters += tensor.value.elements();
    if (!sums || !is_bias) cost.weights += tensor.value.elements();
  }
  const OpCost arithmetic = ArithmeticOf(node, shapes);
  const int64_t twice = counter.Times(2, arithmetic.macs);
  cost.macs = arithmetic.macs;
  cost.forward = counter.Plus(arithmetic.macs, arithmetic.other);
  cost.backward = counter.Plus(twice, arithmetic.other);
  cost.flops = counter.Plus(twice, arithmetic.flops);
  const auto bits = [&](const Factor& factor, BitCount count) {
    return OperandBits(node, factor.operand, factor.info.dtype, factor.info.shape, shapes,
                       exact ? count : BitCount::kReference);
  };
  const std::optional<Factor> weight = WeightOf(graph, node, shapes);
  if (cost.forward > 0) {
    const Factor input = {operands::kDataIn, shapes.info(node.inputs()[0])};
    MASE_ASSIGN_OR_RETURN(double width, bits(input, BitCount::kCode));
    if (weight.has_value()) {
      MASE_ASSIGN_OR_RETURN(const double other, bits(*weight, BitCount::kCode));
      width *= other;
    }
    cost.forward_bitops = counter.Times(cost.forward, counter.Whole(width));
    cost.backward_bitops = counter.Times(cost.backward, counter.Whole(width));
    if (sums) {
      for (const Factor& factor : {input, *weight}) {
        MASE_ASSIGN_OR_RETURN(const double stored, bits(factor, BitCount::kStored));
        const auto elements = static_cast<double>(factor.info.shape.elements());
        cost.bits = counter.Plus(cost.bits, counter.Whole(stored * elements));
      }
    }
  }
  MASE_ASSIGN_OR_RETURN(cost.ebops, Ebops(graph, node, cost.macs, counter));
  if (!counter.overflow()) return cost;
  return absl::OutOfRangeError("a cost is 2^63 or more");
}

}  // namespace

absl::StatusOr<double> OperandBits(const Node& node, absl::string_view operand, DType dtype,
                                   const Shape& shape, const InferredShapes& shapes,
                                   BitCount count) {
  const FormatProto* format = FindFormat(node, operand);
  if (format == nullptr) return static_cast<double>(8 * ElementSize(dtype));
  absl::StatusOr<double> bits = FormatBits(node, operand, *format, shape, shapes, count);
  if (!bits.ok()) return Annotate(bits.status(), absl::StrCat(node.name(), ": ", operand));
  return bits;
}

absl::StatusOr<std::vector<NodeCost>> CostsOf(const Graph& graph, const InferredShapes& shapes,
                                              FormatProto::Semantics semantics) {
  std::vector<NodeCost> costs;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    absl::StatusOr<NodeCost> cost = CostOf(graph, *node, shapes, semantics);
    if (absl::IsOutOfRange(cost.status())) return Annotate(cost.status(), node->name());
    if (!cost.ok()) return cost.status();
    costs.push_back(*cost);
  }
  return costs;
}

absl::StatusOr<std::vector<TensorCost>> TensorCostsOf(const Graph& graph,
                                                      const InferredShapes& shapes) {
  struct Reader {
    const Node* node;
    absl::string_view operand;
  };
  absl::flat_hash_map<absl::string_view, Reader> readers;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Parameter& parameter : node->parameters()) {
      readers.try_emplace(parameter.tensor, Reader{node, ""});
    }
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.source != Operand::Source::kTensor) continue;
      Reader& reader = readers[node->parameters()[operand.index].tensor];
      if (reader.node == node) reader.operand = operand.role;
    }
  }
  std::vector<TensorCost> costs;
  for (const GraphTensor& tensor : graph.tensors()) {
    TensorCost cost{&tensor, 8.0 * static_cast<double>(ElementSize(tensor.value.dtype()))};
    const auto reader = readers.find(tensor.name);
    if (reader != readers.end() && !reader->second.operand.empty()) {
      MASE_ASSIGN_OR_RETURN(
          cost.bits_per_value,
          OperandBits(*reader->second.node, reader->second.operand, tensor.value.dtype(),
                      tensor.value.shape(), shapes, BitCount::kStored));
    }
    const double bits = cost.bits_per_value * static_cast<double>(tensor.value.elements());
    cost.bytes = (std::llround(bits) + 7) / 8;
    costs.push_back(cost);
  }
  return costs;
}

}  // namespace mase
