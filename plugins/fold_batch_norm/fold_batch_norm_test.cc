#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kNet[] = R"(
x = placeholder() : f32[4, 3]
fc = linear(x, in_features=3, out_features=2, bias=False)
norm = batch_norm1d(fc, num_features=2)
output = output(norm)
)";

// Numbers that are no zeros and ones, statistics that are positive.
void Fill(Graph& graph) {
  int next = 1;
  for (const GraphTensor& tensor : graph.tensors()) {
    if (tensor.value.dtype() != DType::kFloat32) continue;
    for (float& number : graph.MutableTensor(tensor.name)->mutable_data<float>()) {
      next = next * 37 % 101;
      number = 0.25f + 0.02f * static_cast<float>(next);
    }
  }
}

Tensor Samples(const Shape& shape) {
  Tensor samples(DType::kFloat32, shape);
  int next = 1;
  for (float& number : samples.mutable_data<float>()) {
    next = next * 37 % 101;
    number = 0.05f * static_cast<float>(next) - 2.5f;
  }
  return samples;
}

std::vector<float> Results(const Graph& graph, const Tensor& samples) {
  const auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, samples.shape()[0],
                              {samples.data<float>().data()}));
  return {executor->output().begin(), executor->output().end()};
}

// The net computes the same as before, and what it printed of it is true.
void ExpectSameResults(const std::vector<float>& before, const std::vector<float>& after,
                       const PassRun& run) {
  double change = 0;
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    change = std::max(change, std::abs(static_cast<double>(after[i]) - before[i]));
    EXPECT_NEAR(after[i], before[i], 1e-4 * (1 + std::abs(before[i])));
  }
  EXPECT_EQ(run.result("largest_change"), change);
  EXPECT_THAT(run.printed, HasSubstr("Largest change of a result: "));
}

TEST(FoldBatchNormTest, ALinearLayerTakesTheNormAndGainsABias) {
  Graph graph = ParseGraph(kNet);
  Fill(graph);
  TestHost host;
  host.samples["x"] = Samples({4, 3});
  const std::vector<float> before = Results(graph, host.samples["x"]);
  const PassRun run = RunPasses({MakePass("fold_batch_norm")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_TRUE(run.changed());
  EXPECT_THAT(graph, EqualsGraph(R"(
x = placeholder() : f32[4, 3]
fc = linear(x, in_features=3, out_features=2)
output = output(fc)
)"));
  EXPECT_EQ(run.decision("norm"), "folded: into fc");
  ExpectSameResults(before, Results(graph, host.samples["x"]), run);
}

TEST(FoldBatchNormTest, TheWorkedExample) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[1, 1]
fc = linear(x, in_features=1, out_features=1)
norm = batch_norm1d(fc, num_features=1, eps=0.0)
output = output(norm)
)");
  const auto set = [&](const char* tensor, float value) {
    graph.MutableTensor(tensor)->mutable_data<float>()[0] = value;
  };
  set("fc.weight", 3);
  set("fc.bias", 1);
  set("norm.weight", 4);
  set("norm.bias", 5);
  set("norm.running_mean", 2);
  set("norm.running_var", 16);
  ASSERT_OK(RunPass("fold_batch_norm", "", graph).status);
  EXPECT_EQ(graph.FindTensor("fc.weight")->value.data<float>()[0], 3);        // 3 * 4 / sqrt 16
  EXPECT_EQ(graph.FindTensor("fc.bias")->value.data<float>()[0], 1 - 2 + 5);  // (1 - 2) 1 + 5
  EXPECT_EQ(graph.FindTensor("norm.running_mean"), nullptr);
}

TEST(FoldBatchNormTest, ConvolutionsAndTransposedOnesInGroups) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 4, 5, 5]
conv = conv2d(x, in_channels=4, out_channels=6, kernel_size=(3, 3), groups=2)
norm = batch_norm2d(conv, num_features=6)
up = convtranspose2d(norm, in_channels=6, out_channels=4, kernel_size=(2, 2), groups=2, bias=False)
norm2 = batch_norm2d(up, num_features=4)
output = output(norm2)
)");
  Fill(graph);
  TestHost host;
  host.samples["x"] = Samples({2, 4, 5, 5});
  const std::vector<float> before = Results(graph, host.samples["x"]);
  const PassRun run = RunPasses({MakePass("fold_batch_norm")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_EQ(graph.FindNode("norm"), nullptr);
  EXPECT_EQ(graph.FindNode("norm2"), nullptr);
  ExpectSameResults(before, Results(graph, host.samples["x"]), run);
}

TEST(FoldBatchNormTest, WhatCannotBeFoldedStaysAndSaysWhy) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[4, 3]
first = batch_norm1d(x, num_features=3)
fc = linear(first, in_features=3, out_features=3)
second = batch_norm1d(fc, num_features=3)
sum = add(fc, second)
fc2 = linear(sum, in_features=3, out_features=3)
third = batch_norm1d(fc2, num_features=3, track_running_stats=False)
fc3 = linear(third, in_features=3, out_features=3)
  quantized integer class Integer
  weight = integer { width: 8 frac_width: 4 }
fourth = batch_norm1d(fc3, num_features=3)
output = output(fourth)
)");
  const PassRun run = RunPass("fold_batch_norm", "", graph);
  EXPECT_THAT(run.status, StatusIs(absl::StatusCode::kInvalidArgument));  // Nothing changed.
  EXPECT_EQ(run.table("batch_norms"),
            "node,decision,reason\n"
            "first,kept,x before it is no layer with a weight\n"
            "second,kept,\"others read fc, too\"\n"
            "third,kept,it has no running statistics\n"
            "fourth,kept,fc3 is quantized: fold before quantize\n");
}

TEST(FoldBatchNormTest, MasesPassTakesConvolutionsAlone) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("conv_bn_fusion", "", graph);
  EXPECT_EQ(run.table("batch_norms"),
            "node,decision,reason\nnorm,kept,fc before it is no convolution\n");
}

}  // namespace
}  // namespace mase
