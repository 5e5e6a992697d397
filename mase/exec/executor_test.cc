// The executor: whole graphs, forward and backward.
#include "mase/exec/executor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/run_net.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Attributes LinearAttributes(int64_t in, int64_t out) {
  return {{"in_features", in}, {"out_features", out}};
}
Attributes Features(int64_t features) { return {{"num_features", features}}; }

// BN, ReLU, Linear 8, BN, ReLU, Linear 5, ReLU: the shape of the jet nets.
Graph JetNet(int64_t rows, bool norm_between = true) {
  TestNet net({rows, 16});
  Value* x = net.Module("batch_norm1d", {net.input()}, Features(16));
  x = net.Module("relu", {x});
  x = net.Module("linear", {x}, LinearAttributes(16, 8));
  if (norm_between) x = net.Module("batch_norm1d", {x}, Features(8));
  x = net.Module("relu", {x});
  x = net.Module("linear", {x}, LinearAttributes(8, 5));
  return net.Finish({net.Module("relu", {x})});
}

template <typename T>
std::unique_ptr<BasicExecutor<T>> MakeExecutor(const Graph& graph, ExecutorOptions options = {}) {
  return ValueOrDie(BasicExecutor<T>::Create(graph, options));
}

template <typename T>
std::vector<T> Evaluate(BasicExecutor<T>& executor, ExecutionMode mode, int64_t rows,
                        const std::vector<float>& x) {
  static std::vector<T> input;  // Backward reads it too.
  input.assign(x.begin(), x.end());
  EXPECT_OK(executor.Forward(mode, rows, {input.data()}));
  return {executor.output().begin(), executor.output().end()};
}

// |a - b| <= tolerance (1 + |b|) everywhere.
template <typename A, typename B>
void ExpectClose(const A& a, const B& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << "element " << i;
  }
}

TEST(ExecutorTest, FloatAgreesWithDouble) {
  const Graph graph = JetNet(9);
  auto single = MakeExecutor<float>(graph);
  auto checking = MakeExecutor<double>(graph);
  for (const int64_t rows : {0, 1, 2, 9, 64, 333}) {
    const std::vector<float> x = RandomValues(rows * 16, rows);
    ExpectClose(Evaluate(*single, ExecutionMode::kInference, rows, x),
                Evaluate(*checking, ExecutionMode::kInference, rows, x), 2e-6);
    if (rows == 1) continue;
    ExpectClose(Evaluate(*single, ExecutionMode::kTraining, rows, x),
                Evaluate(*checking, ExecutionMode::kTraining, rows, x), 1e-5);
  }
  ExpectClose(single->buffers(), checking->buffers(), 1e-6);
}

// Gradients of sum(c * output) against central differences, both in double.
void CheckGradients(const Graph& graph, int64_t rows, int64_t row_elements) {
  auto executor = MakeExecutor<double>(graph);
  const std::vector<float> x = RandomValues(rows * row_elements, 5);
  const auto loss = [&] {
    executor->set_step(0);
    const std::vector<double> y = Evaluate(*executor, ExecutionMode::kTraining, rows, x);
    const std::vector<float> c = RandomValues(static_cast<int64_t>(y.size()), 6);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * c[i];
    return sum;
  };
  loss();
  const std::vector<float> c = RandomValues(static_cast<int64_t>(executor->output().size()), 6);
  const std::vector<double> diff(c.begin(), c.end());
  const std::vector<double> input(x.begin(), x.end());
  executor->set_step(0);
  ASSERT_OK(executor->Forward(ExecutionMode::kTraining, rows, {input.data()}));
  ASSERT_OK(executor->Backward({diff.data()}));
  const std::vector<double> gradients(executor->gradients().begin(), executor->gradients().end());
  for (const TensorSlot& slot : executor->parameter_slots()) {
    for (int64_t i = 0; i < slot.shape.elements(); ++i) {
      double& parameter = executor->parameters()[slot.offset + i];
      const double before = parameter;
      constexpr double kStep = 1e-6;
      parameter = before + kStep;
      const double up = loss();
      parameter = before - kStep;
      const double down = loss();
      parameter = before;
      const double want = (up - down) / (2 * kStep);
      EXPECT_NEAR(gradients[slot.offset + i], want, 1e-6 * (1 + std::abs(want)))
          << slot.name << "[" << i << "]";
    }
  }
}

TEST(ExecutorTest, GradientsAreCentralDifferences) {
  CheckGradients(JetNet(7), 7, 16);
  CheckGradients(JetNet(7, /*norm_between=*/false), 7, 16);
}

TEST(ExecutorTest, AValueWithTwoReadersAndASharedModuleAddTheirGradients) {
  TestNet net({3, 4});
  Value* a = net.Module("linear", {net.input()}, LinearAttributes(4, 4));
  Value* b = net.Module("tanh", {a});
  Value* sum = net.Function("add", {a, b});
  // The same module again: it shares the tensors of `a`.
  const Node& first = *a->producer();
  auto again =
      net.graph().AddNode({.name = "linear_again",
                           .op = "linear",
                           .target = first.target(),
                           .inputs = {sum},
                           .attributes = first.attributes(),
                           .parameters = {first.parameters().begin(), first.parameters().end()}});
  ASSERT_OK(again);
  Value* product = net.Function("mul", {(*again)->outputs()[0], sum});
  const Graph graph = net.Finish({product});
  CheckGradients(graph, 3, 4);
}

TEST(ExecutorTest, SumsOfNoRowsAreNoRows) {
  TestNet net({2, 4});
  const Graph graph = net.Finish({net.Function("add", {net.input(), net.input()})});
  auto executor = MakeExecutor<float>(graph);
  const float none = 0;
  ASSERT_OK(executor->Forward(ExecutionMode::kInference, 0, {&none}));
  EXPECT_EQ(executor->output_shape(), Shape({0, 4}));
  EXPECT_TRUE(executor->output().empty());
}

TEST(ExecutorTest, ABiasBeforeABatchNormHasAGradientOfExactlyZero) {
  auto executor = MakeExecutor<float>(JetNet(9));
  Evaluate(*executor, ExecutionMode::kTraining, 9, RandomValues(9 * 16, 1));
  const std::vector<float> diff = RandomValues(9 * 5, 2);
  ASSERT_OK(executor->Backward({diff.data()}));
  const TensorSlot& bias = executor->parameter_slots()[3];
  ASSERT_EQ(bias.name, "m3.bias");
  EXPECT_THAT(executor->gradients().subspan(bias.offset, 8), Each(0.0f));
  const TensorSlot& last = executor->parameter_slots()[7];
  ASSERT_EQ(last.shape, Shape({5}));
  EXPECT_THAT(executor->gradients().subspan(last.offset, 5), Not(Each(0.0f)));
}

// quantized_ops.md, section 8.
Graph WorkedExample() {
  TestNet net({1, 3});
  Value* y = net.Module("linear", {net.input()}, LinearAttributes(3, 2));
  Graph graph = net.Finish({y});
  graph.SetTensor(
      "m1.weight",
      Tensor::FromValues<float>({2, 3}, {0.2186f, -0.2631f, 0.3352f, 1.9f, -3.3f, 0.03f}), false);
  graph.SetTensor("m1.bias", Tensor::FromValues<float>({2}, {0.0753f, -1.2f}), false);
  return graph;
}

void Quantize(Graph& graph, absl::string_view node, const std::vector<std::string>& operands,
              int width = 8, int frac_width = 4, FormatProto::Rounding rounding = {}) {
  Node* found = ValueOrDie(graph.LookUpNode(node));
  Quantization record;
  if (found->quantization() != nullptr) record = *found->quantization();
  record.set_format("integer");
  for (const std::string& name : operands) {
    OperandFormat* operand = record.add_operand();
    operand->set_operand(name);
    operand->mutable_format()->set_rounding(rounding);
    operand->mutable_format()->mutable_integer()->set_width(width);
    operand->mutable_format()->mutable_integer()->set_frac_width(frac_width);
  }
  graph.SetQuantization(found, record);
}

TEST(ExecutorTest, AQuantizedLinearIsTheWorkedExample) {
  const std::vector<float> x = {1.03f, -0.47f, 2.2f};
  Graph graph = WorkedExample();
  EXPECT_THAT(Evaluate(*MakeExecutor<float>(graph), ExecutionMode::kInference, 1, x),
              ElementsAre(::testing::FloatEq(1.161555f), ::testing::FloatEq(2.3739998f)));
  Quantize(graph, "linear", {"data_in", "weight", "bias"});
  for (const ExecutionMode mode : {ExecutionMode::kInference, ExecutionMode::kTraining}) {
    EXPECT_THAT(Evaluate(*MakeExecutor<float>(graph), mode, 1, x),
                ElementsAre(1.05859375f, 2.34375f));
  }
  EXPECT_THAT(Evaluate(*MakeExecutor<double>(graph), ExecutionMode::kInference, 1, x),
              ElementsAre(1.05859375, 2.34375));
  EXPECT_NEAR(Evaluate(*MakeExecutor<float>(graph, {.execution = Execution::kFloat}),
                       ExecutionMode::kInference, 1, x)[0],
              1.161555, 1e-6);
  Graph rounded = graph.Clone();
  Quantize(rounded, "linear", {"data_out"});
  EXPECT_THAT(Evaluate(*MakeExecutor<float>(rounded), ExecutionMode::kInference, 1, x),
              ElementsAre(1.0625f, 2.375f));
  Graph floored = graph.Clone();
  Quantize(floored, "linear", {"data_out"}, 8, 4, FormatProto::FLOOR);
  EXPECT_THAT(Evaluate(*MakeExecutor<float>(floored), ExecutionMode::kInference, 1, x),
              ElementsAre(1.0f, 2.3125f));
}

TEST(ExecutorTest, GradientsPassQuantizersStraightThrough) {
  Graph graph = WorkedExample();
  Quantize(graph, "linear", {"data_in", "weight", "bias"});
  auto executor = MakeExecutor<float>(graph);
  Evaluate(*executor, ExecutionMode::kTraining, 1, {1.03f, -0.47f, 2.2f});
  const float diff[] = {1.0f, 2.0f};
  ASSERT_OK(executor->Backward({diff}));
  // dW = dy x^T with the rounded x.
  EXPECT_THAT(executor->gradients().subspan(0, 6), ElementsAre(1, -0.5, 2.1875, 2, -1, 4.375));
  EXPECT_THAT(executor->gradients().subspan(16, 2), ElementsAre(1, 2));
}

TEST(ExecutorTest, InferenceSeesParametersThatWereWrittenThroughParameters) {
  Graph graph = WorkedExample();
  Quantize(graph, "linear", {"weight"});
  auto executor = MakeExecutor<float>(graph);
  Evaluate(*executor, ExecutionMode::kInference, 1, {1, 1, 1});
  for (float& parameter : executor->parameters()) parameter = 0.26f;
  EXPECT_THAT(Evaluate(*executor, ExecutionMode::kInference, 1, {1, 1, 1}),
              ElementsAre(1.01f, 1.01f));  // Weights round to 0.25.
}

TEST(ExecutorTest, StoreToWritesWhatTrainingMovedAndLoadFromReadsIt) {
  Graph graph = JetNet(4);
  auto executor = MakeExecutor<float>(graph);
  Evaluate(*executor, ExecutionMode::kTraining, 4, RandomValues(64, 3));
  executor->parameters()[0] = 7;
  ASSERT_OK(executor->StoreTo(graph));
  EXPECT_EQ(graph.FindTensor("m1.weight")->value.data<float>()[0], 7);
  EXPECT_EQ(graph.FindTensor("m1.num_batches_tracked")->value.data<int64_t>()[0], 4);
  auto second = MakeExecutor<float>(JetNet(4));
  ASSERT_OK(second->LoadFrom(graph));
  EXPECT_EQ(second->parameters()[0], 7);
  EXPECT_THAT(std::vector<float>(second->buffers().begin(), second->buffers().end()),
              ::testing::ElementsAreArray(executor->buffers()));
  Graph other = WorkedExample();
  EXPECT_THAT(executor->StoreTo(other),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("m1.weight")));
}

TEST(ExecutorTest, EveryNodesValueCanBeKept) {
  const Graph graph = JetNet(4);
  auto executor = MakeExecutor<float>(graph, {.keep_values = true});
  const std::vector<float> x = RandomValues(64, 3);
  Evaluate(*executor, ExecutionMode::kInference, 4, x);
  const auto input = ValueOrDie(executor->NodeValue("x"));
  EXPECT_EQ(input[5], x[5]);
  const auto before = ValueOrDie(executor->NodeValue("linear_1"));
  const auto after = ValueOrDie(executor->NodeValue("relu_2"));
  ASSERT_EQ(before.size(), 20u);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], std::max(before[i], 0.0f));
  EXPECT_EQ(ValueOrDie(executor->NodeShape("linear_1")), Shape({4, 5}));
  EXPECT_THAT(executor->NodeValue("linear_7"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("linear")));
  EXPECT_THAT(MakeExecutor<float>(graph)->NodeValue("x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("keep_values")));
}

TEST(ExecutorTest, PlannedBytesAreTheBlockThatForwardWorksIn) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 1024]
a = tanh(x)
b = sigmoid(a)
output = output(b)
)");
  auto executor = MakeExecutor<float>(graph, {.max_rows = 16});
  EXPECT_EQ(ValueOrDie(executor->PlannedBytes(8)), 8 * 1024 * 4);  // b takes the place of a.
  EXPECT_EQ(ValueOrDie(executor->PlannedBytes(16)), 16 * 1024 * 4);
  EXPECT_THAT(executor->PlannedBytes(17), StatusIs(absl::StatusCode::kInvalidArgument));
}

// Every instruction set writes the rows of the result and nothing around them, wherever they lie.
TEST(ExecutorTest, ARowCallComputesWhatForwardComputesAndWritesNothingElse) {
  const Graph graph = JetNet(4);
  const std::vector<float> x = RandomValues(16, 3);
  OnEveryIsa([&] {
    auto executor = MakeExecutor<float>(graph);
    const RowCall<float> row = ValueOrDie(executor->Row());
    ASSERT_TRUE(row);
    const std::vector<float> expected = Evaluate(*executor, ExecutionMode::kInference, 1, x);
    std::vector<float> memory(5 + 33, -7);
    ASSERT_TRUE(row(x.data(), memory.data() + 1));
    EXPECT_EQ(std::vector<float>(memory.begin() + 1, memory.begin() + 6), expected);
    EXPECT_EQ(memory[0], -7);
    EXPECT_EQ(std::vector<float>(memory.begin() + 6, memory.end()), std::vector<float>(32, -7));
  });
}

TEST(ExecutorTest, ARowCallStaysGoodWhileOtherBatchesRun) {
  auto executor = MakeExecutor<float>(JetNet(4));
  const RowCall<float> row = ValueOrDie(executor->Row());
  const std::vector<float> x = RandomValues(64 * 16, 3);
  std::vector<float> before(5), after(5);
  ASSERT_TRUE(row(x.data(), before.data()));
  for (int64_t rows = 1; rows < 20; ++rows) {
    EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  }
  ASSERT_TRUE(row(x.data(), after.data()));
  EXPECT_EQ(before, after);
}

TEST(ExecutorTest, WhatIsMoreThanOneStepHasNoRowCall) {
  TestNet net({2, 16});
  Value* x = net.Module("softplus", {net.input()});
  x = net.Module("linear", {x}, LinearAttributes(16, 8));
  EXPECT_FALSE(ValueOrDie(MakeExecutor<float>(net.Finish({x}))->Row()));
}

TEST(ExecutorTest, ThereIsNoResultBeforeTheFirstForwardNorAfterAFailure) {
  auto executor = MakeExecutor<float>(JetNet(4));
  EXPECT_TRUE(executor->output().empty());
  EXPECT_EQ(executor->output_shape().elements(), 0);
  const std::vector<float> x = RandomValues(4 * 16, 3);
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, 4, {x.data()}));
  EXPECT_EQ(executor->output().size(), 20u);
  EXPECT_TRUE(executor->output(1).empty());
  EXPECT_FALSE(executor->Forward(ExecutionMode::kInference, 4, {}).ok());
  EXPECT_TRUE(executor->output().empty());
}

TEST(ExecutorTest, AnInterruptEndsAForwardBeforeItsNextStep) {
  std::atomic<bool> interrupted = false;
  const auto executor = MakeExecutor<float>(JetNet(4), {.interrupted = &interrupted});
  const std::vector<float> x = RandomValues(4 * 16, 3);
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, 4, {x.data()}));
  interrupted = true;
  EXPECT_THAT(executor->Forward(ExecutionMode::kInference, 4, {x.data()}),
              StatusIs(absl::StatusCode::kCancelled, "interrupted"));
  EXPECT_TRUE(executor->output().empty());
}

TEST(ExecutorTest, SamplesThatAreNotTheNetsAreRefusedBeforeTheyAreRead) {
  auto executor = MakeExecutor<float>(JetNet(4));
  const auto run = [&](const std::vector<Tensor>& inputs, int64_t rows) {
    return RunNet<float>(*executor, inputs, RowBatches::OfSize(rows, 4),
                         [](int64_t, int64_t) { return absl::OkStatus(); });
  };
  const auto tensor = [](const Shape& shape) { return Tensor(DType::kFloat32, shape); };
  EXPECT_OK(run({tensor({9, 16})}, 9));
  EXPECT_OK(run({tensor({0, 16})}, 0));
  EXPECT_THAT(run({}, 9), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("0 inputs for a graph that has 1")));
  EXPECT_THAT(run({tensor({8, 16})}, 9),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("input 0 is [8, 16]")));
  EXPECT_THAT(run({tensor({9, 15})}, 9),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("input 0 is [9, 15]; of 4 of 9 rows the net reads [4, 16]")));
  EXPECT_THAT(run({tensor({})}, 9), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ExecutorTest, WhatARowIsRefusedForNamesTheRowOfTheDataSet) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 2]
fc = linear(x, in_features=2, out_features=1, bias=False)
  quantized integer
  data_in = integer { width: 8 frac_width: 4 } nan: NAN_IS_ERROR
output = output(fc)
)");
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({1, 2}, {1, -0.5f}), false);
  auto executor = MakeExecutor<float>(graph);
  std::vector<float> rows(20, 0.5f);
  rows[2 * 6 + 1] = NAN;
  const auto see = [](int64_t, int64_t) { return absl::OkStatus(); };
  EXPECT_THAT(RunNet<float>(*executor, {Tensor::FromValues<float>({10, 2}, rows)},
                            RowBatches::OfSize(10, 4), see),
              StatusIs(absl::StatusCode::kOutOfRange,
                       AllOf(StartsWith("row 6: number 1 is nan: fc (linear): "),
                             HasSubstr("element 1 of [1, 2] is NaN"))));
}

TEST(ExecutorTest, RefusesWhatItCannotRun) {
  const Graph graph = JetNet(4);
  auto executor = MakeExecutor<float>(graph, {.max_rows = 4});
  const std::vector<float> x(5 * 16);
  EXPECT_THAT(executor->Forward(ExecutionMode::kInference, 5, {x.data()}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("5 rows")));
  EXPECT_THAT(executor->Forward(ExecutionMode::kInference, 4, {x.data(), x.data()}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 inputs")));
  EXPECT_THAT(
      executor->Forward(ExecutionMode::kTraining, 1, {x.data()}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("batch_norm1d (batch_norm1d)")));
  EXPECT_THAT(executor->Backward({x.data()}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, 1, {x.data()}));
  EXPECT_THAT(executor->Backward({x.data()}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(executor->Forward(ExecutionMode::kTraining, 4, {x.data()}));
  EXPECT_THAT(executor->Backward({}), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace mase
