#include "mase/quantize/operands.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

constexpr char kExact[] = "block_fp { width: 8 block_size: 4 }";
constexpr char kReference[] = "block_fp { width: 8 block_size: 4 } semantics: REFERENCE";
constexpr char kReferenceLog[] =
    "block_log { width: 8 exponent_bias_width: 8 block_size: 4 } semantics: REFERENCE";

// What a format gets to see of a node that reads inputs of the given shapes.
class Viewer {
 public:
  Viewer(NodeKind kind, absl::string_view op, const std::vector<Shape>& inputs,
         Attributes attributes = {})
      : net_(inputs[0]) {
    std::vector<Value*> values = {net_.input()};
    for (size_t i = 1; i < inputs.size(); ++i) values.push_back(net_.Input(inputs[i]));
    node_ = (kind == NodeKind::kCallModule ? net_.Module(op, values, std::move(attributes))
                                           : net_.Function(op, values, std::move(attributes)))
                ->producer();
    shapes_ = ValueOrDie(InferShapesFor(net_.graph()));
  }

  const Node& node() const { return *node_; }
  const InferredShapes& shapes() const { return shapes_; }

  // "[6, 4, 5] skip"
  std::string See(absl::string_view operand, const std::string& format, const Shape& shape) const {
    const OperandView view =
        ValueOrDie(ViewOperand(*node_, operand, ParseFormat(format), shape, shapes_));
    bool skip = false;
    const FormatProto& seen = view.format->proto();
    switch (seen.family_case()) {
      case FormatProto::kBlockFp:
        skip = seen.block_fp().skip_first_dim();
        break;
      case FormatProto::kBlockLog:
        skip = seen.block_log().skip_first_dim();
        break;
      default:
        return view.shape.ToString();
    }
    return absl::StrCat(view.shape.ToString(), skip ? " skip" : " whole");
  }

  std::string SeeInput(int input, const std::string& format) const {
    return See(OperandsOf(*node_)[input].role, format, shapes_.shape(node_->inputs()[input]));
  }

 private:
  TestNet net_;
  const Node* node_;
  InferredShapes shapes_;
};

Viewer Function(absl::string_view op, const std::vector<Shape>& inputs) {
  return Viewer(NodeKind::kCallFunction, op, inputs);
}

Viewer Module(absl::string_view op, const Shape& input, Attributes attributes = {}) {
  return Viewer(NodeKind::kCallModule, op, {input}, std::move(attributes));
}

TEST(OperandsTest, ConvolutionsHaveBlocksInThePlane) {
  const Viewer conv = Module(
      "conv2d", {2, 3, 4, 5},
      {{"in_channels", int64_t{3}}, {"out_channels", int64_t{6}}, {"kernel_size", Ints{3, 3}}});
  EXPECT_EQ(conv.SeeInput(0, kReference), "[6, 4, 5] skip");
  EXPECT_EQ(conv.See("weight", kReference, {6, 3, 3, 3}), "[18, 3, 3] skip");
  EXPECT_EQ(conv.See("bias", kReference, {6}), "[6] whole");
  // EXACT takes tensors as they are.
  EXPECT_EQ(conv.SeeInput(0, kExact), "[2, 3, 4, 5] skip");
  EXPECT_EQ(conv.SeeInput(0, "integer { width: 8 } semantics: REFERENCE"), "[2, 3, 4, 5]");
}

TEST(OperandsTest, LinearLayersTakeTwoOrThreeAxes) {
  const Attributes sizes = {{"in_features", int64_t{5}}, {"out_features", int64_t{2}}};
  const Viewer linear = Module("linear", {2, 5}, sizes);
  EXPECT_EQ(linear.SeeInput(0, kReference), "[2, 5] skip");
  EXPECT_EQ(linear.See("weight", kReferenceLog, {2, 5}), "[2, 5] whole");
  EXPECT_EQ(Module("linear", {2, 3, 4, 5}, sizes).SeeInput(0, kReference), "[2, 3, 4, 5] skip");
  // What the record says wins.
  EXPECT_EQ(linear.SeeInput(0, "block_fp { block_size: 4 skip_first_dim: false }"), "[2, 5] whole");
}

TEST(OperandsTest, ActivationModulesAlwaysSkipAndFoldImages) {
  EXPECT_EQ(Module("relu", {4, 5}).SeeInput(0, kReference), "[4, 5] skip");
  EXPECT_EQ(Module("relu", {2, 3, 4}).SeeInput(0, kReference), "[2, 3, 4] skip");
  for (absl::string_view op : {ops::kRelu, ops::kSelu, ops::kSilu}) {
    EXPECT_EQ(Module(op, {2, 3, 4, 5}).SeeInput(0, kReference), "[6, 4, 5] skip");
  }
  EXPECT_EQ(Module("relu", {2, 3, 4, 5}).SeeInput(0, kExact), "[2, 3, 4, 5] skip");
  EXPECT_EQ(Function("relu", {{4, 5}}).SeeInput(0, kReference), "[4, 5] whole");
  EXPECT_EQ(Function("relu", {{2, 3, 4, 5}}).SeeInput(0, kReference), "[6, 4, 5] skip");
}

TEST(OperandsTest, ArithmeticBroadcastsFirstButTheFirstInputsRankDecides) {
  EXPECT_EQ(Function("add", {{4, 5}, {4, 5}}).SeeInput(0, kReference), "[4, 5] whole");
  EXPECT_EQ(Function("add", {{4, 5}, {5}}).SeeInput(1, kReference), "[1, 5] whole");
  const Viewer deep = Function("sub", {{2, 3, 4, 5}, {4, 5}});
  EXPECT_EQ(deep.SeeInput(0, kReference), "[6, 4, 5] skip");
  EXPECT_EQ(deep.SeeInput(1, kReference), "[1, 4, 5] skip");
  // MASE refuses this one, and so does the format.
  const Viewer shallow = Function("mul", {{4, 5}, {3, 4, 5}});
  EXPECT_EQ(shallow.SeeInput(0, kReference), "[1, 4, 5] whole");
  EXPECT_EQ(shallow.SeeInput(1, kReference), "[3, 4, 5] whole");
}

TEST(OperandsTest, ProductsDecideForEachInput) {
  const Viewer product = Function("matmul", {{2, 3, 4, 5}, {5, 6}});
  EXPECT_EQ(OperandsOf(product.node())[1].role, "weight");
  EXPECT_EQ(product.SeeInput(0, kReference), "[6, 4, 5] skip");
  EXPECT_EQ(product.SeeInput(1, kReference), "[5, 6] whole");
}

TEST(OperandsTest, OperandsOfListsInputsTensorsAndResults) {
  TestNet net({2, 5});
  Value* y = net.Module(ops::kLinear, {net.input()},
                        {{"in_features", int64_t{5}}, {"out_features", int64_t{3}}});
  Node* node = y->producer();
  Quantization record;
  OperandFormat* entry = record.add_operand();
  entry->set_operand("weight");
  *entry->mutable_format() = ParseFormat("integer { width: 8 }");
  net.graph().SetQuantization(node, record);
  std::vector<std::string> seen;
  for (const Operand& operand : OperandsOf(*node)) {
    const bool tensor = operand.source == Operand::Source::kTensor;
    seen.push_back(absl::StrCat(operand.role, tensor ? " " : " of ",
                                tensor ? node->parameters()[operand.index].name : "data",
                                operand.format == nullptr ? "" : " rounded"));
  }
  EXPECT_THAT(seen, testing::ElementsAre("data_in of data", "weight weight rounded", "bias bias",
                                         "data_out of data"));
  EXPECT_EQ(OperandsOf(*net.Function(ops::kMatmul, {y, y})->producer())[1].role, "weight");
}

// "weight: weight, bias: bias": the tensors that a record can round, each with its role.
std::string TensorRoles(const Node& node, bool reference) {
  std::vector<std::string> roles;
  for (const Operand& operand : OperandsOf(node, reference)) {
    if (operand.source != Operand::Source::kTensor) continue;
    roles.push_back(absl::StrCat(node.parameters()[operand.index].name, ": ", operand.role));
  }
  return absl::StrJoin(roles, ", ");
}

TEST(OperandsTest, TensorsOfModulesBelongToOperands) {
  const Attributes features = {{"num_features", int64_t{3}}};
  const Viewer norm2d = Module("batch_norm2d", {2, 3, 4, 5}, features);
  EXPECT_EQ(TensorRoles(norm2d.node(), false), "weight: weight, bias: bias");
  EXPECT_EQ(TensorRoles(norm2d.node(), true), "");
  const Viewer norm1d = Module("batch_norm1d", {2, 3}, features);
  EXPECT_EQ(TensorRoles(norm1d.node(), true),
            "weight: weight, bias: bias, running_mean: weight, running_var: bias");
}

TEST(OperandsTest, AFormatIsMadeOnceAndShared) {
  const Viewer product = Function("matmul", {{2, 3, 4, 5}, {5, 6}});
  const auto view = [&](const char* format, const Shape& shape) {
    return ValueOrDie(
               ViewOperand(product.node(), "data_in", ParseFormat(format), shape, product.shapes()))
        .format;
  };
  const auto first = view("integer { width: 8 frac_width: 4 }", {2, 3});
  EXPECT_EQ(view("integer { frac_width: 4 width: 8 }", {5}), first);
  EXPECT_NE(view("integer { width: 8 frac_width: 5 }", {2, 3}), first);
}

}  // namespace
}  // namespace mase
