// Scales that are no powers of two: sums of many products differ from the simulation's, but a
// number is rounded to codes as the simulation rounds it.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

constexpr int64_t kRows = 37;

std::vector<float> RunNet(const Graph& graph, Execution execution, const std::vector<float>& x,
                          bool keep_values = false) {
  auto executor =
      ValueOrDie(Executor::Create(graph, {.execution = execution, .keep_values = keep_values}));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, kRows, {x.data()}));
  return {executor->output().begin(), executor->output().end()};
}

// A ReLU with a record and two linear layers whose weights are a diagonal of 1 and -1: sums are one
// product, which is exact, so that all that can differ is how numbers become codes.
Graph Diagonals(int64_t features, const std::vector<std::string>& formats) {
  TestNet net({kRows, features});
  const Attributes linear = {
      {"in_features", features}, {"out_features", features}, {"bias", false}};
  Value* x = net.Module("relu", {net.input()});
  x = net.Module("linear", {x}, linear);
  Graph graph = net.Finish({net.Module("linear", {x}, linear)});
  for (const char* const name : {"linear", "linear_1"}) {
    const Node* node = ValueOrDie(graph.LookUpNode(name));
    Tensor weight(DType::kFloat32, {features, features});
    for (int64_t i = 0; i < features * features; ++i) {
      const int64_t row = i / features;
      weight.mutable_data<float>()[i] = i % features != row ? 0.0f : row % 3 == 0 ? -1.0f : 1.0f;
    }
    graph.SetTensor(*node->FindParameter("weight"), std::move(weight), /*buffer=*/false);
  }
  SetRecord(graph, "relu", {{"data_in", formats[0]}});
  SetRecord(graph, "linear", {{"data_in", formats[1]}, {"weight", "ternary { }"}});
  SetRecord(graph, "linear_1", {{"data_in", formats[2]}, {"weight", "ternary { }"}});
  return graph;
}

TEST(IntegerScalesTest, NumbersBecomeCodesAsInTheSimulation) {
  const std::vector<std::string> kFormats[] = {
      // A step of the ReLU is half of the next one: its odd codes are ties there.
      {"affine { width: 8 is_signed: false scale: 0.05 }",
       "affine { width: 8 is_signed: true scale: 0.1 }",
       "affine { width: 8 is_signed: true scale: 0.2 zero_point: 9 }"},
      {"affine { width: 8 is_signed: false scale: 0.3 zero_point: 7 }",
       "affine { width: 8 is_signed: true scale: 0.1 }", "lsq { level: 16 sym: true scale: 0.7 }"},
      {"lsq { level: 256 scale: 0.011 }", "affine { width: 12 is_signed: true scale: 0.0037 }",
       "affine { width: 16 is_signed: false scale: 0.0021 zero_point: 32100 }"},
  };
  for (const int64_t features : {5, 21, 200}) {  // Chains of one row and of several, and tiles.
    // Multiples of quarters of the steps, and numbers in between.
    std::vector<float> x = RandomValues(kRows * features, 3);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] *= 14;
      if (i % 2 == 0) x[i] = std::round(x[i] * 40) * 0.025f;
    }
    for (const std::vector<std::string>& formats : kFormats) {
      const Graph graph = Diagonals(features, formats);
      const std::vector<float> simulated = RunNet(graph, Execution::kSimulated, x);
      SCOPED_TRACE(absl::StrCat(formats[0], ", ", features, " features"));
      OnEveryIsa([&] {
        const std::vector<float> integer = RunNet(graph, Execution::kInteger, x);
        for (size_t i = 0; i < simulated.size(); ++i) {
          ASSERT_EQ(integer[i], simulated[i]) << "element " << i << ", of " << x[i];
        }
      });
    }
  }
}

// A sum of codes is that of their numbers, in a chain and alone.
TEST(IntegerScalesTest, SumsOfCodesAreThoseOfTheSimulation) {
  TestNet net({kRows, 21});
  Value* x = net.Module("relu", {net.input()});
  Value* y =
      net.Module("linear", {x},
                 {{"in_features", int64_t{21}}, {"out_features", int64_t{21}}, {"bias", false}});
  y = net.Function("add", {y, x});
  y = net.Function("sub", {y, x});
  Graph graph = net.Finish({y});
  const char kCodes[] = "affine { width: 8 is_signed: true scale: 0.1 zero_point: 3 }";
  SetRecord(graph, "linear", {{"data_in", kCodes}, {"weight", "ternary { }"}});
  SetRecord(graph, "add", {{"data_in", kCodes}});
  SetRecord(graph, "sub", {{"data_in", kCodes}});
  std::vector<float> numbers = RandomValues(kRows * 21, 5);
  for (float& number : numbers) number *= 9;
  const std::vector<float> simulated = RunNet(graph, Execution::kSimulated, numbers);
  EXPECT_EQ(RunNet(graph, Execution::kInteger, numbers), simulated);
  EXPECT_EQ(RunNet(graph, Execution::kInteger, numbers, /*keep_values=*/true), simulated);
}

}  // namespace
}  // namespace mase
