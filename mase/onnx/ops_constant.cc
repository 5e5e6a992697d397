// ONNX ops whose results are known before any row runs.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

using ::onnx::TensorProto;

absl::StatusOr<Extent> Calculate(const std::string& op, const Extent& a, const Extent& b) {
  if (op == "Add" || op == "Sub") {
    Extent sum;
    const bool overflows = op == "Add"
                               ? __builtin_add_overflow(a.constant, b.constant, &sum.constant) ||
                                     __builtin_add_overflow(a.per_row, b.per_row, &sum.per_row)
                               : __builtin_sub_overflow(a.constant, b.constant, &sum.constant) ||
                                     __builtin_sub_overflow(a.per_row, b.per_row, &sum.per_row);
    if (overflows) return BadNode("a sum of whole numbers overflows");
    return sum;
  }
  if (op == "Mul") return Multiply(a, b);
  if (op == "Div" && (!a.fixed() || !b.fixed())) return Divide(a, b);
  if (!a.fixed() || !b.fixed()) {
    if (a == b && (op == "Max" || op == "Min")) return a;
    return CannotRead("computes with a number that depends on how many rows there are");
  }
  const int64_t x = a.constant, y = b.constant;
  if (op == "Max") return Extent{std::max(x, y)};
  if (op == "Min") return Extent{std::min(x, y)};
  if (op == "Pow") {
    const double power = std::pow(static_cast<double>(x), static_cast<double>(y));
    if (!(std::fabs(power) < 9e15)) return BadNode("a power of whole numbers overflows");
    return Extent{static_cast<int64_t>(power)};
  }
  if (y == 0 || (x == std::numeric_limits<int64_t>::min() && y == -1)) {
    return BadNode("divides ", x, " by ", y);
  }
  if (op == "Div") return Extent{x / y};
  // Mod: the sign of the divisor, as in Python.
  const int64_t rest = x % y;
  return Extent{rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest};
}

// The numbers as their type holds them: of what is too large the lower bits, as ONNX has it.
absl::Status Narrow(KnownInts& ints) {
  int bits = 64;
  bool has_sign = true;
  switch (ints.type) {
    case kOnnxInt4:
      bits = 4;
      break;
    case kOnnxUInt4:
      bits = 4, has_sign = false;
      break;
    case TensorProto::INT8:
      bits = 8;
      break;
    case TensorProto::UINT8:
      bits = 8, has_sign = false;
      break;
    case TensorProto::INT16:
      bits = 16;
      break;
    case TensorProto::UINT16:
      bits = 16, has_sign = false;
      break;
    case TensorProto::INT32:
      bits = 32;
      break;
    case TensorProto::UINT32:
      bits = 32, has_sign = false;
      break;
    default:
      return absl::OkStatus();
  }
  for (Extent& value : ints.values) {
    if (!value.fixed()) {
      if (bits == 32) continue;  // Numbers of rows are no larger.
      return CannotRead("has ", bits, " bits for a number that depends on how many rows there are");
    }
    const uint64_t lower = static_cast<uint64_t>(value.constant) << (64 - bits);
    value.constant = has_sign ? static_cast<int64_t>(lower) >> (64 - bits)
                              : static_cast<int64_t>(lower >> (64 - bits));
  }
  return absl::OkStatus();
}

absl::Status SetFloats(OnnxNode& node, Tensor floats) {
  OnnxValue value;
  value.floats = std::move(floats);
  node.SetResult(0, std::move(value));
  return absl::OkStatus();
}

absl::StatusOr<bool> FoldMod(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const int64_t fmod, node.Int("fmod", 0));
  if (fmod != 0) return CannotRead("takes fmod=0 alone");
  return FoldArithmetic(node);
}

absl::StatusOr<bool> FoldConstant(OnnxNode& node) {
  const auto& attributes = node.proto().attribute();
  if (attributes.size() != 1) return BadNode("wants one attribute, has ", attributes.size());
  const ::onnx::AttributeProto& attribute = attributes[0];
  const auto floats = [](const auto& values, const Shape& shape) {
    const std::vector<float> numbers(values.begin(), values.end());
    return Tensor::FromValues<float>(shape, numbers);
  };
  const auto ints = [](const auto& values, const Shape& shape) {
    KnownInts known = {shape, {}, TensorProto::INT64};
    for (const int64_t value : values) known.values.push_back({value});
    return known;
  };
  absl::Status status;
  if (attribute.name() == "value" && attribute.type() == ::onnx::AttributeProto::TENSOR) {
    MASE_ASSIGN_OR_RETURN(KnownTensor known, node.importer().file().ReadTensor(attribute.t()));
    status = std::holds_alternative<Tensor>(known)
                 ? SetFloats(node, std::get<Tensor>(std::move(known)))
                 : SetInts(node, std::get<KnownInts>(std::move(known)));
  } else if (attribute.name() == "value_float") {
    status = SetFloats(node, floats(std::vector<float>{attribute.f()}, Shape()));
  } else if (attribute.name() == "value_floats") {
    status = SetFloats(node, floats(attribute.floats(), {attribute.floats_size()}));
  } else if (attribute.name() == "value_int") {
    status = SetInts(node, ints(std::vector<int64_t>{attribute.i()}, Shape()));
  } else if (attribute.name() == "value_ints") {
    status = SetInts(node, ints(attribute.ints(), {attribute.ints_size()}));
  } else {
    return CannotRead("has a value of another kind than numbers (", attribute.name(), ")");
  }
  MASE_RETURN_IF_ERROR(status);
  return true;
}

// Of what input 0 is: known, or a value of the graph.
absl::StatusOr<std::vector<Extent>> ShapeOfInput(OnnxNode& node) {
  const OnnxValue* input = node.Input(0);
  if (input == nullptr) return BadNode("has no input");
  if (input->value != nullptr) return node.importer().ExtentsOf(input->value);
  const Shape& shape = input->floats.has_value() ? input->floats->shape() : input->ints->shape;
  std::vector<Extent> extents;
  for (const int64_t extent : shape.dims()) extents.push_back({extent});
  return extents;
}

absl::StatusOr<bool> FoldShape(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(std::vector<Extent> extents, ShapeOfInput(node));
  const int64_t rank = static_cast<int64_t>(extents.size());
  MASE_ASSIGN_OR_RETURN(int64_t start, node.Int("start", 0));
  MASE_ASSIGN_OR_RETURN(int64_t end, node.Int("end", rank));
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  extents = {extents.begin() + start, extents.begin() + end};
  const Shape shape = {static_cast<int64_t>(extents.size())};
  MASE_RETURN_IF_ERROR(SetInts(node, {shape, std::move(extents), TensorProto::INT64}));
  return true;
}

absl::StatusOr<bool> FoldSize(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ShapeOfInput(node));
  MASE_ASSIGN_OR_RETURN(const Extent size, Product(extents));
  MASE_RETURN_IF_ERROR(SetInts(node, {Shape(), {size}, TensorProto::INT64}));
  return true;
}

absl::StatusOr<bool> FoldCast(OnnxNode& node) {
  const OnnxValue* input = node.Input(0);
  if (input == nullptr) return BadNode("has no input");
  MASE_ASSIGN_OR_RETURN(const int64_t to, node.Int("to", TensorProto::FLOAT));
  const bool to_float = IsOnnxFloat(static_cast<int>(to));
  if (!input->known()) {
    const bool is_float = node.importer().TypeOf(input->value) == DType::kFloat32;
    if (is_float && to == TensorProto::BOOL) return false;
    if (to_float != is_float) {
      return CannotRead("turns ", is_float ? "floats" : "ids", " into ",
                        OnnxTypeName(static_cast<int>(to)), " while rows run");
    }
    node.SetResult(0, OnnxValue(*input));
    return true;
  }
  if (!to_float && !IsOnnxWhole(static_cast<int>(to))) {
    return CannotRead("casts to ", OnnxTypeName(static_cast<int>(to)));
  }
  if (input->ints.has_value() && !IsOnnxWhole(input->ints->type)) {
    return CannotRead("casts codes of ", OnnxTypeName(input->ints->type),
                      "; DequantizeLinear makes numbers of them");
  }
  if (to_float && input->ints.has_value()) {
    MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, input->ints->Numbers());
    const std::vector<float> floats(numbers.begin(), numbers.end());
    MASE_RETURN_IF_ERROR(SetFloats(node, Tensor::FromValues<float>(input->ints->shape, floats)));
    return true;
  }
  if (to_float) {
    node.SetResult(0, OnnxValue(*input));
    return true;
  }
  KnownInts ints;
  if (input->ints.has_value()) {
    ints = *input->ints;
  } else {
    MASE_ASSIGN_OR_RETURN(ints, KnownInts::WithRoom(input->floats->shape(), 0));
    for (const float number : input->floats->data<float>()) {
      if (to == TensorProto::BOOL) {
        ints.values.push_back({number != 0});
      } else if (std::fabs(number) < 9.2e18f && (to == kOnnxInt4 || to == kOnnxUInt4)) {
        const int64_t least = to == kOnnxInt4 ? -8 : 0;  // What is beyond the ends becomes those.
        ints.values.push_back({std::clamp(static_cast<int64_t>(number), least, least + 15)});
      } else if (std::fabs(number) < 9.2e18f) {
        ints.values.push_back({static_cast<int64_t>(number)});
      } else {
        return BadNode("turns ", number, " into a whole number");
      }
    }
  }
  if (to == TensorProto::BOOL && input->ints.has_value()) {
    MASE_RETURN_IF_ERROR(ints.Numbers().status());
    for (Extent& value : ints.values) value.constant = value.constant != 0;
  }
  ints.type = static_cast<int>(to);
  MASE_RETURN_IF_ERROR(Narrow(ints));
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(ints)));
  return true;
}

// The one element that ConstantOfShape repeats.
absl::StatusOr<KnownTensor> Element(OnnxNode& node) {
  for (const auto& attribute : node.proto().attribute()) {
    if (attribute.name() != "value") continue;
    MASE_ASSIGN_OR_RETURN(KnownTensor known, node.importer().file().ReadTensor(attribute.t()));
    const int64_t count = std::holds_alternative<Tensor>(known)
                              ? std::get<Tensor>(known).elements()
                              : static_cast<int64_t>(std::get<KnownInts>(known).values.size());
    if (count != 1) return BadNode("attribute 'value' has ", count, " elements, want one");
    return known;
  }
  const float zero = 0;
  return KnownTensor(Tensor::FromValues<float>({1}, absl::MakeConstSpan(&zero, 1)));
}

absl::StatusOr<bool> FoldConstantOfShape(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const KnownInts extents, node.WholeNumbers(0));
  if (!extents.fixed()) return false;
  MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, extents.Numbers());
  const Shape shape(dims);
  MASE_RETURN_IF_ERROR(CheckCount(shape));
  MASE_ASSIGN_OR_RETURN(KnownTensor element, Element(node));
  if (std::holds_alternative<Tensor>(element)) {
    const std::vector<float> numbers(shape.elements(), std::get<Tensor>(element).data<float>()[0]);
    MASE_RETURN_IF_ERROR(SetFloats(node, Tensor::FromValues<float>(shape, numbers)));
  } else {
    const KnownInts& known = std::get<KnownInts>(element);
    MASE_ASSIGN_OR_RETURN(KnownInts all, KnownInts::WithRoom(shape, known.type));
    all.values.assign(shape.elements(), known.values[0]);
    MASE_RETURN_IF_ERROR(SetInts(node, std::move(all)));
  }
  return true;
}

absl::Status ConstantOfShape(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const KnownInts extents, node.WholeNumbers(0));
  MASE_ASSIGN_OR_RETURN(KnownTensor element, Element(node));
  const double number = std::holds_alternative<Tensor>(element)
                            ? std::get<Tensor>(element).data<float>()[0]
                            : static_cast<double>(std::get<KnownInts>(element).values[0].constant);
  MASE_ASSIGN_OR_RETURN(Value * one, node.Number(number));
  MASE_ASSIGN_OR_RETURN(Value * result, Expanded(node, one, extents.values));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::StatusOr<bool> FoldRange(OnnxNode& node) {
  constexpr int64_t kMost = 1 << 24;
  if (node.KnownFloats(0) != nullptr) {
    double numbers[3] = {};
    for (int i = 0; i < 3; ++i) {
      MASE_ASSIGN_OR_RETURN(const Tensor number, node.Floats(i));
      if (number.elements() != 1) return BadNode("input ", i, " is no single number");
      numbers[i] = number.data<float>()[0];
    }
    const double count = std::max(std::ceil((numbers[1] - numbers[0]) / numbers[2]), 0.0);
    if (!(count <= kMost)) return BadNode("has ", count, " elements; the limit is ", kMost);
    std::vector<float> range;
    for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
      range.push_back(static_cast<float>(numbers[0] + static_cast<double>(i) * numbers[2]));
    }
    const Shape shape = {static_cast<int64_t>(range.size())};
    MASE_RETURN_IF_ERROR(SetFloats(node, Tensor::FromValues<float>(shape, range)));
    return true;
  }
  int64_t numbers[3] = {};
  int type = TensorProto::INT64;
  for (int i = 0; i < 3; ++i) {
    MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(i));
    MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> number, known.Numbers());
    if (number.size() != 1) return BadNode("input ", i, " is no single number");
    numbers[i] = number[0];
    type = known.type;
  }
  const double span = static_cast<double>(numbers[1]) - static_cast<double>(numbers[0]);
  const double count = std::max(std::ceil(span / static_cast<double>(numbers[2])), 0.0);
  if (!(count <= kMost)) return BadNode("has ", count, " elements; the limit is ", kMost);
  MASE_ASSIGN_OR_RETURN(KnownInts range, KnownInts::WithRoom({static_cast<int64_t>(count)}, type));
  for (int64_t i = 0; i < range.shape[0]; ++i) {
    // Modulo 2^64: from far below 0 to far above it is more than int64 counts.
    const uint64_t number = static_cast<uint64_t>(numbers[0]) +
                            static_cast<uint64_t>(i) * static_cast<uint64_t>(numbers[2]);
    range.values.push_back({static_cast<int64_t>(number)});
  }
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(range)));
  return true;
}

}  // namespace

int64_t BroadcastIndex(int64_t i, const Shape& shape, const Shape& own) {
  int64_t at = 0, stride = 1;
  for (int axis = 1; axis <= shape.rank(); ++axis) {
    const int64_t index = i % shape[-axis];
    i /= shape[-axis];
    if (axis > own.rank()) continue;
    if (own[-axis] != 1) at += index * stride;
    stride *= own[-axis];
  }
  return at;
}

absl::StatusOr<KnownInts> Combine(
    const KnownInts& a, const KnownInts& b,
    const std::function<absl::StatusOr<Extent>(const Extent&, const Extent&)>& combine) {
  MASE_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(a.shape, b.shape));
  MASE_RETURN_IF_ERROR(CheckCount(shape));
  MASE_ASSIGN_OR_RETURN(KnownInts result, KnownInts::WithRoom(shape, a.type));
  for (int64_t i = 0; i < shape.elements(); ++i) {
    MASE_ASSIGN_OR_RETURN(Extent value, combine(a.values[BroadcastIndex(i, shape, a.shape)],
                                                b.values[BroadcastIndex(i, shape, b.shape)]));
    result.values.push_back(value);
  }
  return result;
}

absl::Status SetInts(OnnxNode& node, KnownInts ints) {
  OnnxValue value;
  value.ints = std::move(ints);
  node.SetResult(0, std::move(value));
  return absl::OkStatus();
}

absl::Status CheckCount(const Shape& shape) {
  MASE_RETURN_IF_ERROR(shape.Validate());
  constexpr int64_t kMost = 1 << 24;
  if (shape.elements() <= kMost) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "a constant of shape ", shape.ToString(), " is computed; the limit is ", kMost, " elements"));
}

absl::StatusOr<bool> FoldArithmetic(OnnxNode& node) {
  for (int i = 0; i < node.inputs(); ++i) {
    const OnnxValue* input = node.Input(i);
    if (input == nullptr || !input->ints.has_value()) return false;
  }
  const std::string& op = node.proto().op_type();
  MASE_ASSIGN_OR_RETURN(KnownInts result, node.WholeNumbers(0));
  if (op == "Neg") {
    for (Extent& value : result.values) {
      MASE_ASSIGN_OR_RETURN(value, Multiply(value, {-1}));
    }
  }
  for (int i = 1; i < node.inputs(); ++i) {
    MASE_ASSIGN_OR_RETURN(const KnownInts next, node.WholeNumbers(i));
    MASE_ASSIGN_OR_RETURN(result, Combine(result, next, [&](const Extent& a, const Extent& b) {
                            return Calculate(op, a, b);
                          }));
  }
  MASE_RETURN_IF_ERROR(Narrow(result));
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(result)));
  return true;
}

absl::StatusOr<bool> FoldWhere(OnnxNode& node) {
  for (int i = 0; i < 3; ++i) {
    const OnnxValue* input = node.Input(i);
    if (input == nullptr || !input->ints.has_value()) return false;
  }
  MASE_ASSIGN_OR_RETURN(const KnownInts condition, node.WholeNumbers(0));
  MASE_RETURN_IF_ERROR(condition.Numbers().status());
  MASE_ASSIGN_OR_RETURN(const KnownInts a, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(const KnownInts b, node.WholeNumbers(2));
  MASE_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(a.shape, b.shape));
  MASE_ASSIGN_OR_RETURN(shape, BroadcastShapes(shape, condition.shape));
  MASE_RETURN_IF_ERROR(CheckCount(shape));
  MASE_ASSIGN_OR_RETURN(KnownInts result, KnownInts::WithRoom(shape, a.type));
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const KnownInts& from =
        condition.values[BroadcastIndex(i, shape, condition.shape)].constant != 0 ? a : b;
    result.values.push_back(from.values[BroadcastIndex(i, shape, from.shape)]);
  }
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(result)));
  return true;
}

std::vector<OnnxOp> OnnxConstantOps() {
  constexpr absl::string_view kKnown = "a constant";
  constexpr absl::string_view kOfConstants = "of constants and shapes";
  return {
      {.name = "Constant", .becomes = kKnown, .limits = "numbers", .fold = FoldConstant},
      {.name = "ConstantOfShape",
       .becomes = "a constant, or expand",
       .import = ConstantOfShape,
       .fold = FoldConstantOfShape},
      {.name = "Shape", .becomes = kKnown, .fold = FoldShape},
      {.name = "Size", .becomes = kKnown, .fold = FoldSize},
      {.name = "Cast",
       .becomes = "nothing, eq and sub, or a constant",
       .limits = "floats to floats and truths while rows run",
       .import = ImportTruth,
       .fold = FoldCast,
       .keeps_rounding = true},
      {.name = "Range", .becomes = kKnown, .limits = kOfConstants, .fold = FoldRange},
      {.name = "Mod", .becomes = kKnown, .limits = kOfConstants, .fold = FoldMod},
  };
}

}  // namespace mase
