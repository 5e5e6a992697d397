#include "mase/exec/integer_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/power_of_two.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/format/whole_numbers.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr int kMaxWidth = 16;
constexpr int64_t kMaxTaps = 512;
constexpr double kLargestInt32 = 2147483647;
constexpr int64_t kExactFloat = 1 << 24;

// The kernels of ops that have a record.
struct IntegerOp {
  absl::string_view op, kernel;
};
constexpr IntegerOp kIntegerOps[] = {
    {ops::kLinear, "integer_linear"},
    {ops::kConv1d, "integer_conv"},
    {ops::kConv2d, "integer_conv"},
    {ops::kMatmul, "integer_matmul"},
    {ops::kBmm, "integer_matmul"},
    {ops::kAdd, "integer_arithmetic"},
    {ops::kSub, "integer_arithmetic"},
    {ops::kMul, "integer_arithmetic"},
    {ops::kRelu, kConvert},
    {ops::kMaxPool1d, "integer_pool"},
    {ops::kMaxPool2d, "integer_pool"},
    {ops::kAdaptiveMaxPool1d, "integer_pool"},
    {ops::kAdaptiveMaxPool2d, "integer_pool"},
    {ops::kAvgPool1d, "integer_pool"},
    {ops::kAvgPool2d, "integer_pool"},
    {ops::kAdaptiveAvgPool1d, "integer_pool"},
    {ops::kAdaptiveAvgPool2d, "integer_pool"},
};

Codes::Rounding RoundingOf(FormatProto::Rounding rounding) {
  switch (rounding) {
    case FormatProto::NEAREST_AWAY:
      return Codes::Rounding::kNearestAway;
    case FormatProto::FLOOR:
      return Codes::Rounding::kFloor;
    case FormatProto::CEILING:
      return Codes::Rounding::kCeiling;
    case FormatProto::TOWARD_ZERO:
      return Codes::Rounding::kTowardZero;
    case FormatProto::AWAY_FROM_ZERO:
      return Codes::Rounding::kAwayFromZero;
    default:
      return Codes::Rounding::kNearestEven;
  }
}

absl::Status CheckStep(double step) {
  constexpr double kLeast = 0x1p-126, kMost = 0x1p126;
  if (step >= kLeast && step <= kMost) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("step ", step, "; integer kernels take steps from 2^-126 to 2^126: give it ",
                   step < kLeast ? "fewer" : "more", " fraction bits"));
}
// Of products of numbers in these steps.
absl::Status CheckStep(float a, float b) {
  return CheckStep(static_cast<double>(a) * static_cast<double>(b));
}

absl::StatusOr<WholeNumbers> NumbersOf(const Node& node, absl::string_view operand) {
  const FormatProto* format = FindFormat(node, operand);
  if (format == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(operand, " is not rounded; give it an integer format"));
  }
  absl::StatusOr<WholeNumbers> numbers = WholeNumbersOf(*format);
  if (!numbers.ok()) return Annotate(numbers.status(), operand);
  if (numbers->width() > kMaxWidth) {
    return absl::UnimplementedError(absl::StrCat(operand, ": codes of ", numbers->width(),
                                                 " bits; integer kernels take up to ", kMaxWidth,
                                                 ": give it a smaller width"));
  }
  for (const WholeNumbers::Block& block : numbers->blocks) {
    if (absl::Status status = CheckStep(static_cast<double>(block.step)); !status.ok())
      return Annotate(status, operand);
  }
  return numbers;
}

// Of a tensor that is rounded while the net runs.
absl::StatusOr<Codes> ActivationCodes(const Node& node, absl::string_view operand) {
  MASE_ASSIGN_OR_RETURN(const WholeNumbers numbers, NumbersOf(node, operand));
  if (numbers.blocks.size() != 1) {
    return absl::UnimplementedError(
        absl::StrCat(operand, ": ", numbers.blocks.size(),
                     " scales; activations take one for the tensor: calibrate it "
                     "without channels and groups"));
  }
  if (!numbers.rounds_by_step) {
    return absl::UnimplementedError(
        absl::StrCat(operand, ": only weights may be rounded to signs; give it an integer format"));
  }
  const WholeNumbers::Block& block = numbers.blocks[0];
  if (block.least > 0 || block.most < 0) {
    return absl::UnimplementedError(absl::StrCat(operand, ": has no code for 0"));
  }
  const int64_t count = block.most - block.least + 1;
  Codes codes = {.scale = block.step,
                 .rounding = RoundingOf(numbers.rounding),
                 .nan_is_zero = numbers.nan == FormatProto::NAN_TO_ZERO};
  // Bytes start at 0; wider ones are so that they fit 16 bits with sign.
  const int64_t lo = count <= 256                                   ? 0
                     : block.least >= -32768 && block.most <= 32767 ? block.least
                                                                    : -32768;
  codes.lo = static_cast<int32_t>(lo);
  codes.hi = static_cast<int32_t>(lo + count - 1);
  codes.zero = static_cast<int32_t>(lo - block.least);
  return codes;
}

// The products that a sum adds.
int64_t DepthOf(const Node& node, const InferredShapes& shapes, const TensorStore& store) {
  if (node.Is(OpTrait::kProduct)) return shapes.shape(node.inputs()[0])[-1];
  const std::string* weight = node.FindParameter(operands::kWeight);
  const Shape shape = store.Find(*weight).shape;
  return shape.elements() / std::max<int64_t>(shape[0], 1);
}

bool IsLayer(const Node& node) {
  return node.Is(OpTrait::kWeighted) && node.Is(OpTrait::kOutputsFirst);
}

// The node's weight as its record rounds it.
absl::StatusOr<std::vector<float>> RoundedWeight(const Node& node, const TensorStore& store,
                                                 const InferredShapes& shapes) {
  const TensorStore::Place place = store.Find(*node.FindParameter(operands::kWeight));
  const FormatProto* proto = FindFormat(node, operands::kWeight);
  MASE_ASSIGN_OR_RETURN(const OperandView view,
                        ViewOperand(node, operands::kWeight, *proto, place.shape, shapes));
  std::vector<float> weight(place.shape.elements());
  MASE_RETURN_IF_ERROR(
      view.format->Quantize(static_cast<const float*>(place.data), weight.data(), view.shape));
  return weight;
}

// That no sum of products overflows an int32: by widths and depth alone, or else by the weights.
absl::Status ProveSumsFit(const Node& node, const Codes& src, const WholeNumbers& weight,
                          int64_t depth, const TensorStore& store, const InferredShapes& shapes) {
  const double largest_src = std::max(std::abs(src.least()), src.most());
  const double by_widths =
      static_cast<double>(depth) * largest_src * static_cast<double>(weight.largest());
  if (by_widths <= kLargestInt32) return absl::OkStatus();
  double largest = by_widths;
  if (IsLayer(node)) {
    MASE_ASSIGN_OR_RETURN(const std::vector<float> rounded, RoundedWeight(node, store, shapes));
    largest = 0;
    for (size_t first = 0; first < rounded.size(); first += depth) {
      const size_t output = first / depth;
      const float step = weight.blocks[weight.blocks.size() == 1 ? 0 : output].step;
      double size = 0;
      for (int64_t k = 0; k < depth; ++k) size += std::fabs(rounded[first + k]) / step;
      largest = std::max(largest, size * largest_src);
    }
    if (largest <= kLargestInt32) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrFormat("its accumulator may overflow: sums up to %.0f need %d bits, an int32 has "
                      "32; give data_in or "
                      "weight a smaller width",
                      largest, static_cast<int>(std::ceil(std::log2(largest))) + 1));
}

// Whether there is one scale for each output, along the weight's first axis.
bool IsPerOutput(const WholeNumbers& numbers, const Shape& shape) {
  if (static_cast<int64_t>(numbers.blocks.size()) != shape[0] ||
      static_cast<int>(numbers.block_size.size()) != shape.rank() || numbers.block_size[0] != 1) {
    return false;
  }
  for (int axis = 1; axis < shape.rank(); ++axis) {
    if (numbers.block_size[axis] != -1 && numbers.block_size[axis] < shape[axis]) return false;
  }
  return true;
}

absl::Status PlanLayer(const Node& node, const InferredShapes& shapes, const TensorStore& store,
                       IntegerPlan* plan) {
  MASE_ASSIGN_OR_RETURN(plan->inputs.emplace_back(), ActivationCodes(node, operands::kDataIn));
  MASE_ASSIGN_OR_RETURN(const WholeNumbers weight, NumbersOf(node, operands::kWeight));
  const Shape shape = store.Find(*node.FindParameter(operands::kWeight)).shape;
  if (weight.blocks.size() > 1 && !IsPerOutput(weight, shape)) {
    return absl::UnimplementedError(absl::StrCat(
        "weight: ", weight.blocks.size(),
        " scales; integer kernels take one, or one for each output: calibrate it without groups"));
  }
  plan->weight.least = std::numeric_limits<int32_t>::max();
  plan->weight.most = std::numeric_limits<int32_t>::min();
  for (const WholeNumbers::Block& block : weight.blocks) {
    plan->weight.least = std::min(plan->weight.least, static_cast<int32_t>(block.least));
    plan->weight.most = std::max(plan->weight.most, static_cast<int32_t>(block.most));
    plan->weight.scales.push_back(block.step);
    plan->exact &= IsPowerOfTwo(block.step);
    MASE_RETURN_IF_ERROR(CheckStep(block.step, plan->inputs[0].scale));
  }
  if (plan->weight.least < -32768 || plan->weight.most > 32767) {
    return absl::UnimplementedError("weight: codes beyond 16 bits with sign");
  }
  int64_t taps = 1;
  for (int axis = 2; axis < shape.rank(); ++axis) taps *= shape[axis];
  if (taps > kMaxTaps) {
    return absl::UnimplementedError(
        absl::StrCat("a kernel of ", taps, " positions; integer kernels take up to ", kMaxTaps));
  }
  return ProveSumsFit(node, plan->inputs[0], weight, DepthOf(node, shapes, store), store, shapes);
}

absl::Status PlanProduct(const Node& node, const InferredShapes& shapes, const TensorStore& store,
                         IntegerPlan* plan) {
  MASE_ASSIGN_OR_RETURN(plan->inputs.emplace_back(), ActivationCodes(node, operands::kDataIn));
  MASE_ASSIGN_OR_RETURN(plan->inputs.emplace_back(), ActivationCodes(node, operands::kWeight));
  MASE_RETURN_IF_ERROR(CheckStep(plan->inputs[0].scale, plan->inputs[1].scale));
  const Codes& other = plan->inputs[1];
  if (other.least() < -32768 || other.most() > 32767) {
    return absl::UnimplementedError("weight: codes beyond 16 bits with sign");
  }
  MASE_ASSIGN_OR_RETURN(const WholeNumbers weight, NumbersOf(node, operands::kWeight));
  return ProveSumsFit(node, plan->inputs[0], weight, DepthOf(node, shapes, store), store, shapes);
}

absl::Status PlanArithmetic(const Node& node, IntegerPlan* plan) {
  for (const Operand& operand : OperandsOf(node)) {
    if (operand.source != Operand::Source::kInput) continue;
    MASE_ASSIGN_OR_RETURN(plan->inputs.emplace_back(), ActivationCodes(node, operand.role));
  }
  if (node.op() != ops::kMul) return absl::OkStatus();
  return CheckStep(plan->inputs[0].scale, plan->inputs[1].scale);
}

// The largest window of a pooling. What an attribute says may be beyond what an int64 holds.
double WindowElements(const Node& node, const InferredShapes& shapes) {
  const Attributes& attributes = node.attributes();
  const Shape& src = shapes.shape(node.inputs()[0]);
  const Shape& dst = shapes.shape(node.outputs()[0]);
  double elements = 1;
  for (int axis = 2; axis < src.rank(); ++axis) {
    if (attributes.Find("output_size") != nullptr) {
      const int64_t widest = src[axis] / std::max<int64_t>(dst[axis], 1) + 2;
      elements *= static_cast<double>(widest);
    } else {
      elements *= static_cast<double>(attributes.Ints("kernel_size")[axis - 2]);
    }
  }
  return elements;
}

absl::Status PlanPool(const Node& node, const InferredShapes& shapes, IntegerPlan* plan) {
  MASE_ASSIGN_OR_RETURN(plan->inputs.emplace_back(), ActivationCodes(node, operands::kDataIn));
  const Codes& codes = plan->inputs[0];
  double size = 0;  // Of a code, or of where one may be cut.
  for (const auto bound : {codes.least(), codes.most(), codes.lo, codes.hi}) {
    size = std::max(size, std::abs(static_cast<double>(bound)));
  }
  const double largest = WindowElements(node, shapes) * size;
  if (largest < kExactFloat) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "sums of a window may reach %.0f, beyond what float32 adds without rounding", largest));
}

absl::Status NoRecord() {
  return absl::NotFoundError("has no record; quantize its op, if it is to run on codes");
}

absl::StatusOr<IntegerPlan> Plan(const Node& node, const InferredShapes& shapes,
                                 const TensorStore& store) {
  if (node.quantization() == nullptr) return NoRecord();
  if (node.quantization()->operand().empty()) {
    return absl::UnimplementedError(
        "its record rounds nothing (bypass); give its operands integer formats");
  }
  const IntegerOp* op =
      absl::c_find_if(kIntegerOps, [&](const IntegerOp& op) { return op.op == node.op(); });
  if (op == std::end(kIntegerOps)) {
    return absl::UnimplementedError(absl::StrCat(
        "there is no integer kernel for ", node.op(),
        node.Is(OpTrait::kNorm) ? "; fold it into the layer before it (fold_batch_norm), or leave "
                                  "its record out: it then runs behind that layer's sums"
                                : "; leave its record out where it may run in float"));
  }
  for (const OperandFormat& operand : node.quantization()->operand()) {
    if (operand.format().semantics() == FormatProto::REFERENCE) {
      return absl::UnimplementedError(
          "its record has REFERENCE semantics, which are MASE's float arithmetic; quantize it with "
          "EXACT semantics");
    }
  }
  IntegerPlan plan = {.kernel = op->kernel};
  if (IsLayer(node)) {
    MASE_RETURN_IF_ERROR(PlanLayer(node, shapes, store, &plan));
  } else if (node.Is(OpTrait::kProduct)) {
    MASE_RETURN_IF_ERROR(PlanProduct(node, shapes, store, &plan));
  } else if (node.Is(OpTrait::kArithmetic)) {
    MASE_RETURN_IF_ERROR(PlanArithmetic(node, &plan));
  } else if (node.Is(OpTrait::kPool)) {
    MASE_RETURN_IF_ERROR(PlanPool(node, shapes, &plan));
  } else {
    MASE_ASSIGN_OR_RETURN(plan.inputs.emplace_back(), ActivationCodes(node, operands::kDataIn));
  }
  for (const Codes& codes : plan.inputs) plan.exact &= IsPowerOfTwo(codes.scale);
  if (FindFormat(node, operands::kDataOut) != nullptr) {
    MASE_ASSIGN_OR_RETURN(plan.result, ActivationCodes(node, operands::kDataOut));
    plan.exact &= IsPowerOfTwo(plan.result->scale);
  }
  return plan;
}

}  // namespace

bool KeepsCodes(const Node& node) {
  static constexpr absl::string_view kOps[] = {ops::kRelu,
                                               ops::kMaxPool1d,
                                               ops::kMaxPool2d,
                                               ops::kAdaptiveMaxPool1d,
                                               ops::kAdaptiveMaxPool2d,
                                               ops::kCat,
                                               ops::kPermute,
                                               ops::kTranspose};
  return node.Is(OpTrait::kRenames) || node.Is(OpTrait::kRenamesAtRest) ||
         absl::c_linear_search(kOps, node.op());
}

IntegerPlans::IntegerPlans(const Graph& graph, const InferredShapes& shapes,
                           const TensorStore& store)
    : plans_(graph.id_limit(), NoRecord()), wanted_(graph.id_limit()) {
  std::vector<const Node*> order;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    plans_[node->id()] = Plan(*node, shapes, store);
    order.push_back(node);
  }
  std::reverse(order.begin(), order.end());
  for (const Node* node : order) {
    if (node->outputs().empty()) continue;
    bool first = true;
    for (const Use& use : node->outputs()[0]->uses()) {
      if (use.node->Is(OpTrait::kFromShapes)) continue;  // Reads no element.
      const absl::StatusOr<IntegerPlan>& plan = plans_[use.node->id()];
      std::optional<Codes> wanted;
      if (plan.ok()) {
        wanted = plan->inputs[use.input];
      } else if (absl::IsNotFound(plan.status()) && KeepsCodes(*use.node)) {
        wanted = wanted_[use.node->id()];
      }
      if (first) wanted_[node->id()] = wanted;
      if (wanted != wanted_[node->id()]) wanted_[node->id()].reset();
      first = false;
      if (!wanted_[node->id()].has_value()) break;
    }
  }
}

int SumBits(const Node& node, const InferredShapes& shapes, const TensorStore& store) {
  if (!IsLayer(node) && !node.Is(OpTrait::kProduct)) return 0;
  double unit = 1, largest = 1;
  for (const absl::string_view operand : {operands::kDataIn, operands::kWeight}) {
    const FormatProto* format = FindFormat(node, operand);
    if (format == nullptr) return 0;
    const absl::StatusOr<WholeNumbers> numbers = WholeNumbersOf(*format);
    if (!numbers.ok() || !numbers->powers_of_two()) return 0;
    double least = numbers->blocks[0].step, most = least;
    for (const WholeNumbers::Block& block : numbers->blocks) {
      least = std::min<double>(least, block.step);
      most = std::max<double>(most, block.step);
    }
    unit *= least;
    largest *= static_cast<double>(numbers->largest()) * most;
  }
  largest *= static_cast<double>(DepthOf(node, shapes, store));
  if (node.FindParameter(operands::kBias) != nullptr) {
    const FormatProto* format = FindFormat(node, operands::kBias);
    constexpr int kAnyBias = 53;
    if (format == nullptr) return kAnyBias;
    const absl::StatusOr<WholeNumbers> numbers = WholeNumbersOf(*format);
    if (!numbers.ok() || !numbers->powers_of_two()) return kAnyBias;
    for (const WholeNumbers::Block& block : numbers->blocks) {
      unit = std::min<double>(unit, block.step);
      largest += static_cast<double>(numbers->largest()) * block.step;
    }
  }
  return std::max(1, static_cast<int>(std::ceil(std::log2(largest / unit))));
}

}  // namespace mase
