#include "mase/exec/simulate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/format/lsq.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::ElementsAreArray;

std::vector<float> Rounded(const std::string& format, const std::vector<float>& values) {
  std::vector<float> rounded(values.size());
  EXPECT_OK(ValueOrDie(Format::FromText(format))
                ->Quantize(values.data(), rounded.data(), {static_cast<int64_t>(values.size())}));
  return rounded;
}

std::vector<float> RunTwo(const Graph& graph, int64_t rows, const std::vector<float>& a,
                          const std::vector<float>& b) {
  auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {a.data(), b.data()}));
  return {executor->output().begin(), executor->output().end()};
}

TEST(SimulateTest, BothInputsOfAnAdditionAreDataInAndTheSecondOfAProductIsWeight) {
  const std::string coarse = "integer { width: 8 frac_width: 1 }";
  const std::string fine = "integer { width: 8 frac_width: 3 }";
  const std::vector<float> a = RandomValues(8, 1), b = RandomValues(8, 2);
  TestNet sum({2, 4});
  Graph addition = sum.Finish({sum.Function("add", {sum.input(), sum.Input({2, 4})})});
  SetRecord(addition, "add", {{"data_in", coarse}});
  std::vector<float> want;
  for (int i = 0; i < 8; ++i) want.push_back(Rounded(coarse, a)[i] + Rounded(coarse, b)[i]);
  EXPECT_THAT(RunTwo(addition, 2, a, b), ElementsAreArray(want));

  TestNet product({2, 1, 4});
  Graph bmm =
      product.Finish({product.Function("bmm", {product.input(), product.Input({2, 4, 1})})});
  SetRecord(bmm, "bmm", {{"data_in", coarse}, {"weight", fine}});
  want.assign(2, 0);
  for (int i = 0; i < 8; ++i) want[i / 4] += Rounded(coarse, a)[i] * Rounded(fine, b)[i];
  EXPECT_THAT(RunTwo(bmm, 2, a, b), ElementsAreArray(want));
}

TEST(SimulateTest, AQuantizedReluIsNotFusedAndRoundsItsInput) {
  const std::string format = "integer { width: 4 frac_width: 2 is_signed: false }";
  TestNet net({2, 4});
  Value* x = net.Module("batch_norm1d", {net.input()}, {{"num_features", int64_t{4}}});
  Graph graph = net.Finish({net.Module("relu", {x})});
  Graph without = graph.Clone();
  without.ReplaceInput(without.output(), 0, without.FindNode("batch_norm1d")->outputs()[0]);
  EXPECT_OK(without.EraseNode(without.FindNode("relu")));
  SetRecord(graph, "relu", {{"data_in", format}});
  const std::vector<float> a = RandomValues(8, 1);
  const auto run = [&](const Graph& net) {
    auto executor = ValueOrDie(Executor::Create(net));
    EXPECT_OK(executor->Forward(ExecutionMode::kInference, 2, {a.data()}));
    return std::vector<float>(executor->output().begin(), executor->output().end());
  };
  EXPECT_THAT(run(graph), ElementsAreArray(Rounded(format, run(without))));
}

// The step of the format that a node's operand has in the graph.
float StepOf(const Graph& graph, absl::string_view node) {
  return graph.FindNode(node)->quantization()->operand(0).format().lsq().scale();
}

TEST(SimulateTest, ALearnedWidthIsATrainedNumberOfTheRecord) {
  const std::string format =
      "integer { width: 4 frac_width: 1 is_signed: true learned_width: \"tensor\" }";
  TestNet net({2, 4});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  SetRecord(graph, "relu", {{"data_in", format}});
  auto executor = ValueOrDie(Executor::Create(graph));
  ASSERT_EQ(executor->parameter_slots().size(), 1u);
  EXPECT_EQ(executor->parameter_slots()[0].name, "relu.data_in_frac_width");
  EXPECT_EQ(executor->parameters()[0], 1);

  // 2.6 bits are 3: codes of 6 bits, eighths up to 3.875.
  executor->parameters()[0] = 2.6f;
  const std::vector<float> x = {0.3, -0.4, 9, 0.1, -9, 0.45, 0.2, 0.6};
  const std::vector<float> diff = {1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_OK(executor->Forward(ExecutionMode::kTraining, 2, {x.data()}));
  const std::vector<float> rounded = {executor->output().begin(), executor->output().end()};
  EXPECT_THAT(rounded, ElementsAreArray({0.25f, 0.f, 3.875f, 0.125f, 0.f, 0.5f, 0.25f, 0.625f}));
  ASSERT_OK(executor->Backward({diff.data()}));
  // ln 2 times x - q in range; the step where x was cut at the upper end.
  EXPECT_NEAR(executor->gradients()[0],
              std::log(2) * (1 * 0.05 + 3 * 0.125 - 4 * 0.025 - 6 * 0.05 - 7 * 0.05 - 8 * 0.025),
              1e-6);

  ASSERT_OK(executor->StoreTo(graph));
  const IntegerFormat& stored =
      graph.FindNode("relu")->quantization()->operand(0).format().integer();
  EXPECT_EQ(stored.width(), 6);
  EXPECT_EQ(stored.frac_width(), 3);
  EXPECT_EQ(stored.trained_frac_width(), 2.6f);
  // The format that is stored starts from there.
  EXPECT_EQ(ValueOrDie(Executor::Create(graph))->parameters()[0], 2.6f);

  // Two bits are the least there are, one of them the sign.
  executor->parameters()[0] = -30;
  ASSERT_OK(executor->StoreTo(graph));
  const IntegerFormat& least =
      graph.FindNode("relu")->quantization()->operand(0).format().integer();
  EXPECT_EQ(least.width(), 2);
  EXPECT_EQ(least.frac_width(), -1);
}

TEST(SimulateTest, WeightsWithOwnGridsAreStoredRoundedAndTheRecordHasThemAll) {
  TestNet net({2, 2});
  Graph graph = net.Finish({net.Module(
      "linear", {net.input()}, {{"in_features", int64_t{2}}, {"out_features", int64_t{2}}})});
  SetRecord(graph, "linear",
            {{"weight", "integer { width: 8 frac_width: 6 learned_width: 'weight' }"}});
  const std::string tensor = graph.FindNode("linear")->parameters()[0].tensor;
  graph.SetTensor(tensor, Tensor::FromValues<float>({2, 2}, {0.3f, 0.3f, 0.3f, 0.3f}), false);
  auto executor = ValueOrDie(Executor::Create(graph));
  int64_t weight = -1, widths = -1;
  for (const TensorSlot& slot : executor->parameter_slots()) {
    if (slot.name == tensor) weight = slot.offset;
    if (slot.name != "linear.weight_frac_width") continue;
    EXPECT_EQ(slot.shape, Shape({2, 2}));
    widths = slot.offset;
  }
  ASSERT_GE(weight, 0);
  ASSERT_GE(widths, 0);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(executor->parameters()[widths + i], 6);
    executor->parameters()[widths + i] = static_cast<float>(4 - i);
  }
  const std::vector<float> x = {1, 0, 0, 1}, diff = {1, 0, 0, 0};
  ASSERT_OK(executor->Forward(ExecutionMode::kTraining, 2, {x.data()}));
  const std::vector<float> trained = {executor->output().begin(), executor->output().end()};
  ASSERT_OK(executor->Backward({diff.data()}));
  EXPECT_FLOAT_EQ(executor->gradients()[widths], static_cast<float>(M_LN2 * (0.3f - 0.3125f)));
  EXPECT_EQ(executor->gradients()[widths + 3], 0);
  EXPECT_EQ(executor->gradients()[weight], 1);  // Straight through.

  ASSERT_OK(executor->StoreTo(graph));
  EXPECT_THAT(graph.FindTensor(tensor)->value.data<float>(),
              ElementsAreArray({0.3125f, 0.25f, 0.25f, 0.5f}));
  const IntegerFormat& stored =
      graph.FindNode("linear")->quantization()->operand(0).format().integer();
  EXPECT_EQ(stored.width(), 6);
  EXPECT_EQ(stored.frac_width(), 4);
  EXPECT_EQ(stored.most_width(), 8);
  EXPECT_EQ(executor->parameters()[weight], 0.3f);  // What is trained is not rounded.

  // To one who runs what was stored all of it is one grid; a training would start from that.
  auto again = ValueOrDie(Executor::Create(graph));
  EXPECT_EQ(again->parameters()[widths], 4);
  ASSERT_OK(again->Forward(ExecutionMode::kInference, 2, {x.data()}));
  EXPECT_THAT(std::vector<float>(again->output().begin(), again->output().end()),
              ElementsAreArray(trained));
}

TEST(SimulateTest, OwnGridsAreForATensorThatOneNodeReads) {
  const std::string format = "integer { width: 8 learned_width: 'channel' }";
  TestNet net({2, 2});
  const Attributes square = {{"in_features", int64_t{2}}, {"out_features", int64_t{2}}};
  Value* first = net.Module("linear", {net.input()}, square);
  Graph graph = net.Finish({net.Module("linear", {first}, square)});
  SetRecord(graph, "linear", {{"data_in", format}});
  EXPECT_THAT(Executor::Create(graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("linear: data_in: learned_width \"channel\" is for "
                                            "weights and biases")));
  SetRecord(graph, "linear", {{"weight", format}});
  EXPECT_OK(Executor::Create(graph).status());
}

TEST(SimulateTest, ALearnedStepIsATrainedNumberOfTheRecord) {
  const std::string format = "lsq { level: 4 sym: true scale: 0.5 }";
  TestNet net({2, 4});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  SetRecord(graph, "relu", {{"data_in", format}});
  auto executor = ValueOrDie(Executor::Create(graph));
  ASSERT_EQ(executor->parameter_slots().size(), 1u);
  EXPECT_EQ(executor->parameter_slots()[0].name, "relu.data_in_scale");
  EXPECT_EQ(executor->parameters()[0], 0.5f);

  const std::vector<float> x = {0.3, -0.4, 9, 0.1, -9, 0.45, 0.2, 0.6};
  const std::vector<float> diff = {1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_OK(executor->Forward(ExecutionMode::kTraining, 2, {x.data()}));
  const std::vector<float> rounded = {executor->output().begin(), executor->output().end()};
  ASSERT_OK(executor->Backward({diff.data()}));
  std::vector<float> behind_relu(8);
  for (int i = 0; i < 8; ++i) behind_relu[i] = rounded[i] > 0 ? diff[i] : 0;
  EXPECT_FLOAT_EQ(executor->gradients()[0], LsqScaleGradient(ParseFormat(format), x, behind_relu));

  executor->parameters()[0] = 0.25f;
  ASSERT_OK(executor->Forward(ExecutionMode::kInference, 2, {x.data()}));
  std::vector<float> want = Rounded("lsq { level: 4 sym: true scale: 0.25 }", x);
  for (float& value : want) value = std::max(value, 0.0f);
  EXPECT_THAT(std::vector<float>(executor->output().begin(), executor->output().end()),
              ElementsAreArray(want));
  ASSERT_OK(executor->StoreTo(graph));
  EXPECT_EQ(StepOf(graph, "relu"), 0.25f);

  executor->parameters()[0] = -0.25f;
  EXPECT_THAT(
      executor->Forward(ExecutionMode::kInference, 2, {x.data()}),
      StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("lsq: scale -0.25")));
  SetRecord(graph, "relu", {{"data_in", "lsq { level: 256 }"}});  // Nothing to learn there.
  EXPECT_THAT(executor->StoreTo(graph),
              StatusIs(absl::StatusCode::kNotFound, ::testing::HasSubstr("relu.data_in_scale")));
}

// The step is one number; reading the tensor in its place would run past the end.
TEST(SimulateTest, ATensorMayNotHaveTheNameOfALearnedStep) {
  TestNet net({2, 4});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  SetRecord(graph, "relu", {{"data_in", "lsq { level: 4 sym: true scale: 0.5 }"}});
  graph.SetTensor("relu.data_in_scale", Tensor(DType::kFloat32, {64, 64}), /*buffer=*/false);
  EXPECT_THAT(Executor::Create(graph),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("relu: data_in: its learned number is called "
                                            "'relu.data_in_scale', and so is a tensor")));
}

TEST(SimulateTest, AFormatThatIsWrongIsNamedWithItsNodeAndOperand) {
  TestNet net({2, 4});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  SetRecord(graph, "relu", {{"data_in", "integer { width: 99 }"}});
  EXPECT_THAT(Executor::Create(graph), StatusIs(absl::StatusCode::kInvalidArgument,
                                                ::testing::HasSubstr("relu (relu): data_in: ")));
}

}  // namespace
}  // namespace mase
