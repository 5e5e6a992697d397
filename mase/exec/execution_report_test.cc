// What a report of execution says of each kernel: who computed it, with which instructions, on
// which types, and how much that was.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/exec/executor.h"
#include "mase/kernel/integer/tile.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr char kEight[] = "integer { width: 8 frac_width: 4 }";
constexpr int64_t kRows = 4;

ExecutionReport RunNet(const Graph& graph, const ExecutorOptions& options,
                       const std::vector<float>& rows, std::vector<float>* output = nullptr) {
  auto executor = ValueOrDie(Executor::Create(graph, options));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, kRows, {rows.data()}));
  if (output != nullptr) output->assign(executor->output().begin(), executor->output().end());
  return ValueOrDie(executor->Report());
}

// "conv2d (conv2d), relu (relu): float32 x float32 + float32 -> float32, 1536 MACs"
std::string Text(const StepExecution& step) {
  std::vector<absl::string_view> types;
  for (const DType type : step.operands) types.push_back(DTypeName(type));
  std::string text =
      absl::StrCat(absl::StrJoin(step.nodes, ", "), ": ", absl::StrJoin(types, " x "));
  if (step.bias.has_value()) absl::StrAppend(&text, " + ", DTypeName(*step.bias));
  absl::StrAppend(&text, " -> ", DTypeName(step.result));
  if (step.macs > 0) absl::StrAppend(&text, ", ", step.macs, " MACs");
  return text;
}

// Of the steps that stand for nodes.
std::vector<std::string> Texts(const std::vector<StepExecution>& steps) {
  std::vector<std::string> texts;
  for (const StepExecution& step : steps) {
    if (!step.nodes.empty()) texts.push_back(Text(step));
  }
  return texts;
}

constexpr int64_t kDeep = 600;

// A convolution with a norm behind it, a pool, and two linear layers, a small and a wide one.
Graph ConvNet() {
  using Sizes = std::vector<int64_t>;
  TestNet net({kRows, 3, 8, 8});
  Value* x = net.Module("conv2d", {net.input()},
                        {{"in_channels", int64_t{3}},
                         {"out_channels", int64_t{16}},
                         {"kernel_size", Sizes{3, 3}},
                         {"padding", Sizes{1, 1}}});
  x = net.Module("batch_norm2d", {x}, {{"num_features", int64_t{16}}});
  x = net.Module("relu", {x});
  x = net.Module("max_pool2d", {x}, {{"kernel_size", Sizes{2, 2}}, {"stride", Sizes{2, 2}}});
  x = net.Module("flatten", {x});
  x = net.Module("linear", {x}, {{"in_features", int64_t{256}}, {"out_features", kDeep}});
  x = net.Module("linear", {x},
                 {{"in_features", kDeep}, {"out_features", int64_t{5}}, {"bias", false}});
  return net.Finish({x});
}

TEST(ExecutionReportTest, KernelsOfFloatsNameTheirNodesTypesAndWork) {
  const ExecutionReport report =
      RunNet(ConvNet(), {.execution = Execution::kFloat}, RandomValues(kRows * 3 * 8 * 8, 3));
  EXPECT_THAT(Texts(report.steps),
              ElementsAre(absl::StrCat("conv2d (conv2d), batch_norm2d (batch_norm2d), relu (relu): "
                                       "float32 x float32 + float32 -> float32, ",
                                       kRows * 16 * 64 * 27, " MACs"),
                          "max_pool2d (max_pool2d): float32 -> float32",
                          absl::StrCat("linear (linear): float32 x float32 + float32 -> float32, ",
                                       kRows * 256 * kDeep, " MACs"),
                          absl::StrCat("linear_1 (linear): float32 x float32 -> float32, ",
                                       kRows * kDeep * 5, " MACs")));
}

// Every kernel knows its instruction set, whoever wrote it.
TEST(ExecutionReportTest, EveryKernelNamesItsInstructionSet) {
  const std::vector<float> rows = RandomValues(kRows * 3 * 8 * 8, 3);
  for (const Execution execution :
       {Execution::kFloat, Execution::kSimulated, Execution::kInteger}) {
    Graph graph = ConvNet();
    for (const char* layer : {"conv2d", "linear"}) {
      SetRecord(graph, layer, {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
    }
    for (const StepExecution& step : RunNet(graph, {.execution = execution}, rows).steps) {
      SCOPED_TRACE(absl::StrCat(step.label, ": ", step.kernel, ", ", step.implementation));
      if (absl::StartsWith(step.implementation, "oneDNN ")) {
        EXPECT_THAT(step.isa, AnyOf(StartsWith("avx"), StartsWith("sse")));
      } else {
        EXPECT_EQ(step.implementation, "own");
        EXPECT_THAT(step.isa, AnyOf(StartsWith("AVX"), "SSE2"));
      }
    }
  }
}

// On codes a bias is part of the int32 sum where it is a whole number of the sum's units.
TEST(ExecutionReportTest, ABiasHasTheTypeThatItIsAddedAs) {
  const std::vector<float> rows = RandomValues(kRows * 20, 3);
  const auto added = [&](const char* bias) {
    TestNet net({kRows, 20});
    Graph graph = net.Finish({net.Module(
        "linear", {net.input()}, {{"in_features", int64_t{20}}, {"out_features", int64_t{6}}})});
    Formats formats = {{"data_in", kEight}, {"weight", kEight}};
    if (*bias != '\0') formats.push_back({"bias", bias});
    SetRecord(graph, "linear", formats);
    const ExecutionReport report = RunNet(graph, {.execution = Execution::kInteger}, rows);
    EXPECT_EQ(report.steps.size(), 1);
    return Text(report.steps[0].parts.at(1));
  };
  EXPECT_EQ(added(kEight), "linear (linear): uint8 x int8 + int32 -> float32, 480 MACs");
  // Finer than the sum.
  EXPECT_EQ(added("integer { width: 16 frac_width: 12 }"),
            "linear (linear): uint8 x int8 + float32 -> float32, 480 MACs");
  EXPECT_EQ(added(""), "linear (linear): uint8 x int8 + float32 -> float32, 480 MACs");
}

// Each channel by itself is multiplied in bytes by VNNI, and else in words.
TEST(ExecutionReportTest, DepthwiseKernelsNameWhatTheyMultiply) {
  using Sizes = std::vector<int64_t>;
  TestNet net({kRows, 20, 4, 4});
  Graph graph = net.Finish({net.Module("conv2d", {net.input()},
                                       {{"in_channels", int64_t{20}},
                                        {"out_channels", int64_t{20}},
                                        {"kernel_size", Sizes{3, 3}},
                                        {"padding", Sizes{1, 1}},
                                        {"groups", int64_t{20}},
                                        {"bias", false}})});
  SetRecord(graph, "conv2d", {{"data_in", kEight}, {"weight", kEight}});
  const ExecutionReport report =
      RunNet(graph, {.execution = Execution::kInteger}, RandomValues(kRows * 20 * 16, 3));
  const auto conv =
      absl::c_find_if(report.steps, [](const StepExecution& s) { return s.macs > 0; });
  ASSERT_NE(conv, report.steps.end());
  const bool bytes = CurrentIntegerIsa() == IntegerIsa::kVnni;
  EXPECT_EQ(Text(*conv), absl::StrCat("conv2d (conv2d): uint8 x ", bytes ? "int8" : "int32",
                                      " -> float32, ", kRows * 20 * 16 * 9, " MACs"));
  EXPECT_EQ(conv->isa, IntegerIsaName(CurrentIntegerIsa()));
}

// What is measured is what runs otherwise: a chain is one step with one time, which tells of each
// of its layers what a step for that layer alone would.
TEST(ExecutionReportTest, AMeasuredChainIsOneStepAndNamesItsLayers) {
  TestNet net({kRows, 20});
  Value* x = net.Module("linear", {net.input()},
                        {{"in_features", int64_t{20}}, {"out_features", int64_t{6}}});
  x = net.Module("relu", {x});
  x = net.Module("linear", {x}, {{"in_features", int64_t{6}}, {"out_features", int64_t{3}}});
  Graph graph = net.Finish({x});
  for (const char* layer : {"linear", "linear_1"}) {
    SetRecord(graph, layer, {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
  }
  const std::vector<float> rows = RandomValues(4 * 20, 3);
  std::vector<float> measured_output, output;
  const ExecutionReport measured = RunNet(
      graph, {.execution = Execution::kInteger, .measure_steps = true}, rows, &measured_output);
  RunNet(graph, {.execution = Execution::kInteger}, rows, &output);
  EXPECT_EQ(measured_output, output);

  ASSERT_EQ(measured.steps.size(), 1);
  const StepExecution& chain = measured.steps[0];
  EXPECT_EQ(chain.label, "linear (linear) to linear_1 (linear)");
  EXPECT_EQ(chain.kernel, "integer_chain");
  EXPECT_EQ(chain.calls, 1);
  EXPECT_GT(chain.seconds, 0);
  EXPECT_EQ(chain.macs, 4 * (20 * 6 + 6 * 3));
  EXPECT_THAT(chain.nodes, ElementsAre("linear (linear)", "relu (relu)", "linear_1 (linear)"));
  std::vector<std::string> parts;
  for (const StepExecution& part : chain.parts) {
    parts.push_back(absl::StrCat(part.label, ": ", part.kernel));
    EXPECT_EQ(part.calls, 0);
    EXPECT_EQ(part.seconds, 0);
  }
  EXPECT_THAT(parts, ElementsAre("linear (linear): encode",
                                 "linear (linear): integer_linear + relu + encode",
                                 "linear_1 (linear): integer_linear"));

  // Where each value is kept, a layer is a chain by itself.
  std::vector<const StepExecution*> layers;
  const ExecutionReport apart =
      RunNet(graph, {.execution = Execution::kInteger, .keep_values = true}, rows);
  for (const StepExecution& step : apart.steps) {
    if (step.macs > 0) layers.push_back(&step);
  }
  ASSERT_EQ(layers.size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(chain.parts[i + 1].macs, layers[i]->macs);
    EXPECT_EQ(chain.parts[i + 1].sum_bits, layers[i]->sum_bits);
    EXPECT_EQ(chain.parts[i + 1].operands, layers[i]->parts.at(1).operands);
    EXPECT_EQ(chain.parts[i + 1].isa, layers[i]->isa);
  }
  EXPECT_EQ(chain.sum_bits, std::max(layers[0]->sum_bits, layers[1]->sum_bits));
}

}  // namespace
}  // namespace mase
