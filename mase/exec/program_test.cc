// What compiling must not change: random graphs with shared buffers, fusion and layouts against the
// same graphs node by node; results for any number of threads; memory.
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/exec/executor.h"
#include "mase/exec/lower.h"
#include "mase/graph/shape_inference.h"
#include "mase/kernel/loss.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/reference_kernels.h"
#include "mase/testing/numerics/test_net.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counts what this program allocates.
void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

// NaN and the sign of zero count, too.
bool HaveEqualBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

Attributes Conv(int64_t in, int64_t out, int64_t kernel, int64_t stride, bool bias) {
  return {{"in_channels", in},
          {"out_channels", out},
          {"kernel_size", Ints{kernel, kernel}},
          {"stride", Ints{stride, stride}},
          {"padding", Ints{kernel / 2, kernel / 2}},
          {"bias", bias}};
}

// A net of residual blocks, plain and blocked channels, pools and an odd end, drawn at random.
Graph RandomNet(uint64_t seed) {
  Mt19937 random(seed);
  const auto draw = [&](int64_t n) { return static_cast<int64_t>(random.Next32() % n); };
  TestNet net({2, 3, 8, 8}, seed);
  std::vector<Value*> values = {net.input()};
  std::vector<int64_t> channels = {3};
  for (int i = 0; i < 12; ++i) {
    const size_t at = values.size() - 1 - draw(std::min<int64_t>(values.size(), 3));
    Value* x = values[at];
    int64_t width = channels[at];
    switch (draw(6)) {
      case 0: {
        const int64_t out = draw(2) == 0 ? 16 : 5;
        x = net.Module("conv2d", {x}, Conv(width, out, 1 + 2 * draw(2), 1, draw(2) == 0));
        width = out;
        break;
      }
      case 1:
        x = net.Module("batch_norm2d", {x}, {{"num_features", width}});
        if (draw(2) == 0) x = net.Module("relu", {x});
        break;
      case 2:
        x = net.Module("relu", {x});
        break;
      case 3:
        x = net.Module("tanh", {x});
        break;
      case 4:
        for (size_t j = 0; j < values.size(); ++j) {
          if (channels[j] == width && values[j] != x) {
            x = net.Function(draw(2) == 0 ? "add" : "mul", {x, values[j]});
            break;
          }
        }
        break;
      default:
        x = net.Module(
            "max_pool2d", {x},
            {{"kernel_size", Ints{3, 3}}, {"stride", Ints{1, 1}}, {"padding", Ints{1, 1}}});
    }
    values.push_back(x);
    channels.push_back(width);
  }
  const Attributes pool = {{"output_size", Ints{2, 2}}};
  Value* end = net.Module("adaptive_avg_pool2d", {values.back()}, pool);
  end = net.Function("flatten", {end});
  Value* scores = net.Module("linear", {end},
                             {{"in_features", 4 * channels.back()}, {"out_features", int64_t{7}}});
  return net.Finish({scores, values[values.size() / 2]});
}

// Runs node by node with the reference, in double; gives the graph's outputs.
std::vector<Array> RunReference(const Graph& graph, const Array& input, int64_t rows,
                                bool training) {
  std::vector<Array> values(graph.id_limit());
  std::vector<Array> outputs;
  const auto shapes = ValueOrDie(InferShapesFor(graph, rows));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    std::vector<Array> inputs;
    for (const Value* value : node->inputs()) inputs.push_back(values[value->producer()->id()]);
    if (node->kind() == NodeKind::kPlaceholder) {
      values[node->id()] = input;
    } else if (node->kind() == NodeKind::kOutput) {
      outputs = inputs;
    } else if (node->op() == "flatten") {
      values[node->id()] = {shapes.shape(node->outputs()[0]), inputs[0].values};
    } else {
      std::vector<NamedArray> tensors;
      for (const Parameter& parameter : node->parameters()) {
        const Tensor& tensor = graph.FindTensor(parameter.tensor)->value;
        if (tensor.dtype() != DType::kFloat32) continue;
        const auto data = tensor.data<float>();
        tensors.push_back({parameter.name, {tensor.shape(), {data.begin(), data.end()}}});
      }
      values[node->id()] = ReferenceForward(node->op(), node->attributes(), inputs, tensors,
                                            shapes.shape(node->outputs()[0]), training);
    }
  }
  return outputs;
}

struct Steps {
  std::vector<std::vector<float>> outputs;
  std::vector<float> gradients, buffers;
};

// A training step and an evaluation.
Steps TakeSteps(const Graph& graph, int64_t rows, const std::vector<float>& x) {
  auto executor = ValueOrDie(Executor::Create(graph));
  Steps steps;
  EXPECT_OK(executor->Forward(ExecutionMode::kTraining, rows, {x.data()}));
  std::vector<std::vector<float>> diffs;
  std::vector<const float*> diff_pointers;
  for (int i = 0; i < executor->output_count(); ++i) {
    steps.outputs.emplace_back(executor->output(i).begin(), executor->output(i).end());
    diffs.push_back(RandomValues(static_cast<int64_t>(executor->output(i).size()), 7 + i));
  }
  for (const auto& diff : diffs) diff_pointers.push_back(diff.data());
  EXPECT_OK(executor->Backward(diff_pointers));
  steps.gradients.assign(executor->gradients().begin(), executor->gradients().end());
  steps.buffers.assign(executor->buffers().begin(), executor->buffers().end());
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  for (int i = 0; i < executor->output_count(); ++i) {
    steps.outputs.emplace_back(executor->output(i).begin(), executor->output(i).end());
  }
  return steps;
}

TEST(ProgramTest, RandomGraphsGiveWhatTheirNodesGiveOneByOne) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = RandomNet(seed);
    constexpr int64_t kRows = 3;
    const std::vector<float> x = RandomValues(kRows * 3 * 64, seed);
    for (const bool training : {false, true}) {
      auto executor = ValueOrDie(Executor::Create(graph));
      ASSERT_OK(executor->Forward(training ? ExecutionMode::kTraining : ExecutionMode::kInference,
                                  kRows, {x.data()}));
      const auto want =
          RunReference(graph, {{kRows, 3, 8, 8}, {x.begin(), x.end()}}, kRows, training);
      for (int i = 0; i < executor->output_count(); ++i) {
        double largest = 0;
        for (const double value : want[i].values) largest = std::max(largest, std::abs(value));
        ASSERT_EQ(executor->output(i).size(), want[i].values.size());
        for (size_t j = 0; j < want[i].values.size(); ++j) {
          ASSERT_NEAR(executor->output(i)[j], want[i].values[j], 1e-4 * (1 + largest));
        }
      }
    }
  }
}

TEST(ProgramTest, GradientsOfRandomGraphsAreTheSameInDouble) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = RandomNet(seed);
    const std::vector<float> x = RandomValues(3 * 3 * 64, seed);
    const Steps steps = TakeSteps(graph, 3, x);
    auto checking = ValueOrDie(Executor64::Create(graph, {.keep_values = true}));
    const std::vector<double> input(x.begin(), x.end());
    ASSERT_OK(checking->Forward(ExecutionMode::kTraining, 3, {input.data()}));
    std::vector<std::vector<double>> diffs;
    for (int i = 0; i < 2; ++i) {
      const auto diff = RandomValues(static_cast<int64_t>(checking->output(i).size()), 7 + i);
      diffs.emplace_back(diff.begin(), diff.end());
    }
    ASSERT_OK(checking->Backward({diffs[0].data(), diffs[1].data()}));
    double largest = 0;
    for (const double value : checking->gradients()) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < steps.gradients.size(); ++i) {
      ASSERT_NEAR(steps.gradients[i], checking->gradients()[i], 2e-3 * (1 + largest)) << i;
    }
  }
}

// Kept values stand alone, so that nothing is fused.
TEST(ProgramTest, AReluBehindALinearLayerIsTheSameFusedAndAlone) {
  for (const int64_t width : {3, 16, 40, 200}) {  // 200: oneDNN's product.
    for (const int64_t rows : {1, 7, 64}) {
      for (const bool rounds_result : {false, true}) {
        SCOPED_TRACE(testing::Message() << width << " " << rows << " " << rounds_result);
        TestNet net({2, width});
        Value* x = net.Module("linear", {net.input()},
                              {{"in_features", width}, {"out_features", width}, {"bias", true}});
        Graph graph = net.Finish({net.Module("relu", {x})});
        Quantization record;
        OperandFormat* operand = record.add_operand();
        operand->set_operand(rounds_result ? "data_out" : "data_in");
        operand->mutable_format()->mutable_integer()->set_width(6);
        graph.SetQuantization(graph.FindNode("linear"), record);
        std::vector<float> values = RandomValues(rows * width, 3);
        if (rows > 1) values[0] = NAN;
        std::vector<std::vector<float>> results;
        for (const bool keeps : {false, true}) {
          auto executor = ValueOrDie(Executor::Create(graph, {.keep_values = keeps}));
          ASSERT_OK(executor->Forward(ExecutionMode::kInference, rows, {values.data()}));
          results.emplace_back(executor->output().begin(), executor->output().end());
        }
        ASSERT_TRUE(HaveEqualBits(results[0], results[1]));
        EXPECT_GT(std::count(results[0].begin(), results[0].end(), 0), 0);
      }
    }
  }
}

// A chain of dense layers from text such as "norm relu linear 64 dropout".
Graph DenseNetOf(const std::string& text, int64_t features) {
  TestNet net({2, features});
  Value* x = net.input();
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == "linear") {
      int64_t out;
      words >> out;
      x = net.Module("linear", {x}, {{"in_features", features}, {"out_features", out}});
      features = out;
    } else if (word == "norm") {
      x = net.Module("batch_norm1d", {x}, {{"num_features", features}});
    } else {
      x = net.Module(word, {x});
    }
  }
  return net.Finish({x});
}

// Rounds what linear layers read to integers of so many bits; 0: nothing.
void RoundLinears(int width, Graph& graph) {
  for (Node* node : graph.NodesInOrder()) {
    if (width == 0 || node->op() != "linear") continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      operand->mutable_format()->mutable_integer()->set_width(width);
      operand->mutable_format()->mutable_integer()->set_frac_width(width / 2);
    }
    graph.SetQuantization(node, record);
  }
}

// Kept values stand alone, so that nothing is fused. Sums of 8 bits are exact in float32, those of
// 14 are not.
TEST(ProgramTest, AChainOfDenseLayersIsTheSameFusedAndAloneInInference) {
  OnEveryIsa([&] {
    for (const char* text :
         {"norm relu linear 5 relu", "linear 64 relu linear 32 relu linear 32 relu linear 5",
          "linear 64 norm relu linear 40 norm linear 3 norm relu", "relu norm norm relu linear 1",
          "linear 7 dropout relu dropout linear 2", "linear 12 norm relu linear 8",
          "linear 22 relu linear 22", "linear 200 relu linear 100 relu linear 5", "relu relu",
          "norm norm"}) {
      for (const int64_t rows : {0, 1, 2, 23, 64, 333, 5000}) {
        for (const int width : {0, 8, 14}) {
          SCOPED_TRACE(testing::Message() << text << " " << rows << " rows " << width << " bits");
          Graph graph = DenseNetOf(text, 16);
          RoundLinears(width, graph);
          std::vector<float> x = RandomValues(rows * 16, 3);
          if (rows > 1) x[5] = NAN;
          std::vector<std::vector<float>> results;
          for (const bool keeps : {false, true}) {
            auto executor = ValueOrDie(Executor::Create(graph, {.keep_values = keeps}));
            ASSERT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
            results.emplace_back(executor->output().begin(), executor->output().end());
          }
          ASSERT_TRUE(HaveEqualBits(results[0], results[1]));
          EXPECT_EQ(rows > 1, std::any_of(results[0].begin(), results[0].end(),
                                          [](float y) { return std::isnan(y); }));
        }
      }
    }
  });
}

// One step of a chain, fused with its loss, against Forward, loss and Backward by hand, and in
// double.
TEST(ProgramTest, ATrainStepIsForwardLossAndBackward) {
  for (const char* text : {"relu linear 5", "linear 8 relu linear 5",
                           "norm relu linear 9 norm dropout relu linear 5"}) {
    for (const int64_t rows : {2, 40, 1100}) {
      SCOPED_TRACE(testing::Message() << text << " " << rows);
      const Graph graph = DenseNetOf(text, 16);
      const std::vector<float> x = RandomValues(2000 * 16, 3);
      std::vector<int64_t> labels(2000), picked(rows), own_labels(rows);
      std::vector<float> own_x(rows * 16);
      for (int64_t i = 0; i < 2000; ++i) labels[i] = i * i % 5;
      for (int64_t i = 0; i < rows; ++i) {
        picked[i] = i * 389 % 2000;
        own_labels[i] = labels[picked[i]];
        std::copy_n(x.data() + picked[i] * 16, 16, own_x.data() + i * 16);
      }
      // Forward and Backward by hand.
      auto by_hand = ValueOrDie(Executor::Create(graph, {.seed = 7}));
      ASSERT_OK(by_hand->Forward(ExecutionMode::kTraining, rows, {own_x.data()}));
      std::vector<float> diff(rows * 5);
      const ClassificationLoss want =
          CrossEntropy(by_hand->output().data(), own_labels.data(), rows, 5, diff.data());
      ASSERT_OK(by_hand->Backward({diff.data()}));

      const InputData all_x[] = {x.data()}, batch_x[] = {own_x.data()};
      const TrainingBatch from_all = {all_x, labels.data(), picked.data(), rows};
      const TrainingBatch alone = {batch_x, own_labels.data(), nullptr, rows};
      for (const TrainingBatch& batch : {from_all, alone}) {
        auto executor = ValueOrDie(Executor::Create(graph, {.seed = 7}));
        const LossFigures got = ValueOrDie(executor->TrainStep(batch));
        EXPECT_NEAR(got.loss, want.loss, 1e-6 * want.loss);
        EXPECT_EQ(got.correct, want.correct);
        EXPECT_EQ(executor->step(), 1u);
        ASSERT_EQ(executor->gradients(), by_hand->gradients());
        ASSERT_EQ(executor->buffers(), by_hand->buffers());

        auto checking = ValueOrDie(Executor64::Create(graph, {.seed = 7}));
        EXPECT_NEAR(ValueOrDie(checking->TrainStep(batch)).loss, want.loss, 1e-5 * want.loss);
        double largest = 0;
        for (const double g : checking->gradients()) largest = std::max(largest, std::abs(g));
        for (size_t i = 0; i < checking->gradients().size(); ++i) {
          ASSERT_NEAR(executor->gradients()[i], checking->gradients()[i],
                      (rows == 2 ? 1e-2 : 1e-5) * largest)
              << i;
        }
      }
    }
  }
}

// Dropout draws the same whichever way a layer runs.
TEST(ProgramTest, AProgramCountsEveryInputThatItReads) {
  const Graph graph = DenseNetOf("relu linear 5", 16);
  const TensorStore store(graph, DType::kFloat32);
  for (const bool picks : {false, true}) {
    const Program program = ValueOrDie(Lower(
        graph, {.training = true, .rows = 40, .loss = &kSoftmaxCrossEntropy, .picks_rows = picks},
        store));
    std::vector<int> inputs;
    for (const Program::Value& value : program.values) {
      if (value.home == Program::Value::Home::kInput) inputs.push_back(value.input);
    }
    std::sort(inputs.begin(), inputs.end());
    EXPECT_EQ(inputs, picks ? std::vector<int>({0, 1, 2}) : std::vector<int>({0, 1}));
    EXPECT_EQ(program.input_count, static_cast<int>(inputs.size()));
  }
}

TEST(ProgramTest, DropoutDropsTheSameFusedAndAlone) {
  for (const char* text : {"dropout", "dropout relu dropout"}) {
    const Graph graph = DenseNetOf(text, 16);
    const std::vector<float> x(600 * 16, 1.0f);
    std::vector<std::vector<float>> results;
    for (const bool keeps : {false, true}) {
      auto executor = ValueOrDie(Executor::Create(graph, {.keep_values = keeps, .seed = 3}));
      ASSERT_OK(executor->Forward(ExecutionMode::kTraining, 600, {x.data()}));
      results.emplace_back(executor->output().begin(), executor->output().end());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_GT(std::count(results[0].begin(), results[0].end(), 0), 600);
  }
}

// The fused step knows of it, though its result is a float64.
TEST(ProgramTest, ATrainStepOfAChainRoundsToBfloat16WhereForwardAndBackwardDo) {
  const Graph graph = DenseNetOf("linear 8 relu linear 5", 16);
  const std::vector<float> x = RandomValues(64 * 16, 3);
  std::vector<int64_t> labels(64);
  for (int64_t i = 0; i < 64; ++i) labels[i] = i * i % 5;
  const InputData inputs[] = {x.data()};
  const auto loss_of = [&](bool bfloat16) {
    auto executor = ValueOrDie(Executor::Create(graph, {.bfloat16 = bfloat16}));
    return ValueOrDie(executor->TrainStep({inputs, labels.data(), nullptr, 64})).loss;
  };
  auto by_hand = ValueOrDie(Executor::Create(graph, {.bfloat16 = true}));
  ASSERT_OK(by_hand->Forward(ExecutionMode::kTraining, 64, inputs));
  const double want =
      CrossEntropy(by_hand->output().data(), labels.data(), 64, 5, static_cast<float*>(nullptr))
          .loss;
  EXPECT_NE(loss_of(true), loss_of(false));
  EXPECT_NEAR(loss_of(true), want, 1e-6);
}

TEST(ProgramTest, ATrainStepRefusesLabelsOfAnotherTypeAndNetsOfSeveralResults) {
  const Graph graph = DenseNetOf("linear 5", 16);
  const std::vector<float> x(32), labels(2);
  const InputData inputs[] = {x.data()};
  auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_THAT(executor->TrainStep({inputs, labels.data(), nullptr, 2}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("input 1 is float32, want int64")));
  TestNet net({2, 16});
  const Graph two = net.Finish({net.Module("relu", {net.input()}), net.input()});
  const std::vector<int64_t> classes(2);
  executor = ValueOrDie(Executor::Create(two));
  EXPECT_THAT(executor->TrainStep({inputs, classes.data(), nullptr, 2}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("a loss is of one result, the graph has 2")));
}

TEST(ProgramTest, ResultsDoNotDependOnTheNumberOfThreads) {
  TestNet net({2, 3, 16, 16});
  Value* x = net.Module("conv2d", {net.input()}, Conv(3, 32, 3, 1, true));
  x = net.Module("batch_norm2d", {x}, {{"num_features", int64_t{32}}});
  x = net.Module("relu", {x});
  Value* y = net.Module("conv2d", {x}, Conv(32, 32, 3, 1, false));
  x = net.Function("add", {x, y});
  x = net.Module("conv2d", {x}, Conv(32, 20, 3, 2, true));
  x = net.Module("max_pool2d", {x}, {{"kernel_size", Ints{2, 2}}, {"stride", Ints{2, 2}}});
  x = net.Function("flatten", {x});
  x = net.Module("linear", {x}, {{"in_features", int64_t{320}}, {"out_features", int64_t{100}}});
  x = net.Module("dropout", {x});
  x = net.Module("batch_norm1d", {x}, {{"num_features", int64_t{100}}});
  x = net.Module("linear", {x}, {{"in_features", int64_t{100}}, {"out_features", int64_t{10}}});
  const Graph graph = net.Finish({x});
  const std::vector<float> input = RandomValues(70 * 3 * 256, 3);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Steps one = TakeSteps(graph, 70, input);
  for (const int threads : {2, 3, 4}) {
    omp_set_num_threads(threads);
    const Steps many = TakeSteps(graph, 70, input);
    EXPECT_EQ(one.outputs, many.outputs) << threads;
    EXPECT_EQ(one.gradients, many.gradients) << threads;
    EXPECT_EQ(one.buffers, many.buffers) << threads;
  }
  omp_set_num_threads(before);
}

TEST(ProgramTest, AStepAllocatesNothing) {
  TestNet net({2, 16});
  Value* x = net.Module("batch_norm1d", {net.input()}, {{"num_features", int64_t{16}}});
  x = net.Module("relu", {x});
  x = net.Module("linear", {x}, {{"in_features", int64_t{16}}, {"out_features", int64_t{8}}});
  x = net.Module("gelu", {x});
  x = net.Module("dropout", {x});
  x = net.Module("softmax", {net.Function("mul", {x, x})});
  Graph graph = net.Finish({x});
  Quantization record;
  OperandFormat* operand = record.add_operand();
  operand->set_operand("weight");
  operand->mutable_format()->mutable_integer()->set_width(8);
  graph.SetQuantization(ValueOrDie(graph.LookUpNode("linear")), record);
  auto executor = ValueOrDie(Executor::Create(graph));
  const std::vector<float> input = RandomValues(64 * 16, 1), diff = RandomValues(64 * 8, 2);
  const std::vector<int64_t> labels(64);
  const auto step = [&](int64_t rows) {
    // EXPECT_OK prints, which allocates.
    EXPECT_TRUE(executor->Forward(ExecutionMode::kTraining, rows, {input.data()}).ok());
    EXPECT_TRUE(executor->Backward({diff.data()}).ok());
    const InputData inputs[] = {input.data()};
    EXPECT_TRUE(executor->TrainStep({inputs, labels.data(), nullptr, rows}).ok());
    executor->parameters()[0] += 1;
    EXPECT_TRUE(executor->Forward(ExecutionMode::kInference, rows, {input.data()}).ok());
  };
  step(64);
  step(33);  // A short last batch: its programs are kept beside the full ones.
  const int64_t before = allocations;
  for (int i = 0; i < 3; ++i) {
    step(64);
    step(33);
  }
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace mase
