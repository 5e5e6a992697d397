// ONNX ops that compare, and those on what comes of it. A truth that rows compute is the number 1,
// its opposite 0; one that is known is a whole number.
#include <cmath>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

using ::onnx::TensorProto;

bool AllKnown(const OnnxNode& node) {
  for (int i = 0; i < node.inputs(); ++i) {
    if (const OnnxValue* input = node.Input(i); input != nullptr && !input->known()) return false;
  }
  return true;
}

// Truths of known numbers.
template <typename Holds>
absl::StatusOr<bool> FoldPairs(OnnxNode& node, const Holds& holds) {
  for (int i = 0; i < node.inputs(); ++i) {
    const OnnxValue* input = node.Input(i);
    if (input == nullptr || input->value == nullptr) continue;
    if (node.importer().TypeOf(input->value) != DType::kFloat32) return CannotRead("compares ids");
  }
  if (!AllKnown(node)) return false;
  const Tensor *left = node.KnownFloats(0), *right = node.KnownFloats(1);
  if (left != nullptr && right != nullptr) {
    MASE_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(left->shape(), right->shape()));
    MASE_RETURN_IF_ERROR(CheckCount(shape));
    MASE_ASSIGN_OR_RETURN(KnownInts truths, KnownInts::WithRoom(shape, TensorProto::BOOL));
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const float a = left->data<float>()[BroadcastIndex(i, shape, left->shape())];
      const float b = right->data<float>()[BroadcastIndex(i, shape, right->shape())];
      truths.values.push_back({holds(a, b)});
    }
    MASE_RETURN_IF_ERROR(SetInts(node, std::move(truths)));
    return true;
  }
  MASE_ASSIGN_OR_RETURN(const KnownInts a, node.WholeNumbers(0));
  MASE_ASSIGN_OR_RETURN(const KnownInts b, node.WholeNumbers(1));
  MASE_ASSIGN_OR_RETURN(
      KnownInts truths,
      Combine(a, b, [&](const Extent& x, const Extent& y) -> absl::StatusOr<Extent> {
        if (x.fixed() && y.fixed()) return Extent{holds(x.constant, y.constant)};
        if (x == y) return Extent{holds(int64_t{0}, int64_t{0})};
        // Both answers are those for any number of rows from 1 on, or there is none.
        Extent difference;
        int64_t of_one_row = 0;
        if (__builtin_sub_overflow(x.constant, y.constant, &difference.constant) ||
            __builtin_sub_overflow(x.per_row, y.per_row, &difference.per_row) ||
            __builtin_add_overflow(difference.constant, difference.per_row, &of_one_row)) {
          return BadNode("a difference of whole numbers overflows");
        }
        const bool grows = difference.per_row > 0 && of_one_row > 0;
        const bool falls = difference.per_row < 0 && of_one_row < 0;
        if (!grows && !falls) return CannotRead("depends on how many rows there are");
        return Extent{holds(int64_t{grows ? 1 : 0}, int64_t{grows ? 0 : 1})};
      }));
  truths.type = TensorProto::BOOL;
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(truths)));
  return true;
}

absl::StatusOr<bool> FoldEqual(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a == b; });
}
absl::StatusOr<bool> FoldLess(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a < b; });
}
absl::StatusOr<bool> FoldLessOrEqual(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a <= b; });
}
absl::StatusOr<bool> FoldGreater(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a > b; });
}
absl::StatusOr<bool> FoldGreaterOrEqual(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a >= b; });
}
absl::StatusOr<bool> FoldAnd(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a != 0 && b != 0; });
}
absl::StatusOr<bool> FoldOr(OnnxNode& node) {
  return FoldPairs(node, [](auto a, auto b) { return a != 0 || b != 0; });
}

// a < b is b > a.
template <const absl::string_view& kOp>
absl::Status Turned(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * a, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * b, node.ValueOf(1));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(kOp, {b, a}));
  node.SetResult(result);
  return absl::OkStatus();
}
absl::Status SetOpposite(OnnxNode& node, Value* truth) {
  MASE_ASSIGN_OR_RETURN(Value * one, node.Number(1));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kSub, {one, truth}));
  node.SetResult(result);
  return absl::OkStatus();
}
absl::Status ImportNot(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * truth, node.ValueOf(0));
  return SetOpposite(node, truth);
}
// A NaN alone is not equal to itself.
absl::Status ImportIsNan(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * number, node.Add(ops::kEq, {x, x}));
  return SetOpposite(node, number);
}
absl::StatusOr<bool> FoldNot(OnnxNode& node) {
  if (!AllKnown(node)) return false;
  MASE_ASSIGN_OR_RETURN(KnownInts truths, node.WholeNumbers(0));
  MASE_RETURN_IF_ERROR(truths.Numbers().status());
  for (Extent& truth : truths.values) truth.constant = truth.constant == 0;
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(truths)));
  return true;
}

absl::StatusOr<bool> FoldIsNan(OnnxNode& node) {
  if (!AllKnown(node)) return false;
  MASE_ASSIGN_OR_RETURN(const Tensor floats, node.Floats(0));
  MASE_ASSIGN_OR_RETURN(KnownInts truths, KnownInts::WithRoom(floats.shape(), TensorProto::BOOL));
  for (const float number : floats.data<float>()) truths.values.push_back({std::isnan(number)});
  MASE_RETURN_IF_ERROR(SetInts(node, std::move(truths)));
  return true;
}

}  // namespace

absl::Status ImportTruth(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * zero, node.Number(0));
  MASE_ASSIGN_OR_RETURN(Value * none, node.Add(ops::kEq, {x, zero}));
  return SetOpposite(node, none);
}

std::vector<OnnxOp> OnnxTruthOps() {
  return {
      {.name = "Equal",
       .becomes = "eq, or a constant",
       .import = Same<ops::kEq>,
       .fold = FoldEqual},
      {.name = "Less",
       .becomes = "gt, or a constant",
       .import = Turned<ops::kGt>,
       .fold = FoldLess},
      {.name = "LessOrEqual",
       .becomes = "ge, or a constant",
       .import = Turned<ops::kGe>,
       .fold = FoldLessOrEqual},
      {.name = "Greater",
       .becomes = "gt, or a constant",
       .import = Same<ops::kGt>,
       .fold = FoldGreater},
      {.name = "GreaterOrEqual",
       .becomes = "ge, or a constant",
       .import = Same<ops::kGe>,
       .fold = FoldGreaterOrEqual},
      {.name = "And", .becomes = "mul, or a constant", .import = Same<ops::kMul>, .fold = FoldAnd},
      {.name = "Or",
       .becomes = "maximum, or a constant",
       .import = Same<ops::kMaximum>,
       .fold = FoldOr},
      {.name = "Not", .becomes = "sub, or a constant", .import = ImportNot, .fold = FoldNot},
      {.name = "IsNaN",
       .becomes = "eq and sub, or a constant",
       .import = ImportIsNan,
       .fold = FoldIsNan},
  };
}

}  // namespace mase
