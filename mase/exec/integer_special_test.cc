// Integer execution where numbers are special: a NaN, which has no code, and the sign of zero.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::StartsWith;

// NaN is equal to none, and zeros have signs.
MATCHER(EqualBits, "") {
  return std::bit_cast<uint32_t>(std::get<0>(arg)) == std::bit_cast<uint32_t>(std::get<1>(arg));
}

constexpr char kEight[] = "integer { width: 8 frac_width: 4 }";

Graph OneLinear() {
  TestNet net({4, 20});
  Graph graph = net.Finish({net.Module(
      "linear", {net.input()}, {{"in_features", int64_t{20}}, {"out_features", int64_t{3}}})});
  SetRecord(graph, "linear", {{"data_in", kEight}, {"weight", kEight}});
  return graph;
}

absl::StatusOr<std::vector<float>> Outputs(const Graph& graph, Execution execution, int64_t rows,
                                           const std::vector<float>& x) {
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, {.execution = execution}));
  MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  return std::vector<float>(executor->output().begin(), executor->output().end());
}

TEST(IntegerSpecialTest, AWeightThatHasNoCodeIsNamed) {
  Graph graph = OneLinear();
  const Node* linear = ValueOrDie(graph.LookUpNode("linear"));
  Tensor weight(DType::kFloat32, {3, 20});
  weight.mutable_data<float>()[21] = std::nanf("");
  graph.SetTensor(*linear->FindParameter("weight"), std::move(weight), /*buffer=*/false);
  const std::vector<float> x = RandomValues(4 * 20, 3);
  EXPECT_THAT(
      Outputs(graph, Execution::kInteger, 4, x),
      StatusIs(absl::StatusCode::kOutOfRange, AllOf(HasSubstr("linear"), HasSubstr("weight 21"))));
}

// Layers that run as one step are told apart: the one whose weight it is, and the one that reads
// the data.
TEST(IntegerSpecialTest, AnErrorInAChainNamesItsLayer) {
  TestNet net({4, 20});
  Value* x = net.Module("linear", {net.input()},
                        {{"in_features", int64_t{20}}, {"out_features", int64_t{6}}});
  x = net.Module("linear", {x}, {{"in_features", int64_t{6}}, {"out_features", int64_t{6}}});
  x = net.Module("linear", {x}, {{"in_features", int64_t{6}}, {"out_features", int64_t{3}}});
  Graph graph = net.Finish({x});
  for (const char* layer : {"linear", "linear_1", "linear_2"}) {
    SetRecord(graph, layer, {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
  }
  std::vector<float> rows = RandomValues(4 * 20, 3);
  rows[30] = std::nanf("");
  EXPECT_THAT(
      Outputs(graph, Execution::kInteger, 4, rows),
      StatusIs(absl::StatusCode::kOutOfRange, StartsWith("linear (linear) to linear_2 (linear): "
                                                         "linear (linear): reads a NaN")));

  const Node* second = ValueOrDie(graph.LookUpNode("linear_1"));
  Tensor weight(DType::kFloat32, {6, 6});
  weight.mutable_data<float>()[21] = std::nanf("");
  graph.SetTensor(*second->FindParameter("weight"), std::move(weight), /*buffer=*/false);
  EXPECT_THAT(
      Outputs(graph, Execution::kInteger, 4, rows),
      StatusIs(absl::StatusCode::kOutOfRange, StartsWith("linear (linear) to linear_2 (linear): "
                                                         "linear_1 (linear): weight 21 is nan")));
}

TEST(IntegerSpecialTest, ANanInTheDataIsNoCode) {
  const Graph graph = OneLinear();
  std::vector<float> x = RandomValues(4 * 20, 3);
  x[30] = std::nanf("");
  EXPECT_THAT(Outputs(graph, Execution::kInteger, 4, x),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("NaN")));
}

// A net of two layers with records and a batch norm of `channels` channels behind the first, or in
// front of it, whose channel 1 has this weight, bias and variance.
struct NormCase {
  const char* name;
  bool is_conv, norm_first, relu;
  int64_t channels;
  float weight, bias, variance;
};

Graph NetOf(const NormCase& c) {
  TestNet net(c.is_conv ? Shape{4, 3, 5, 5} : Shape{4, 20});
  const auto layer = [&](Value* x, int64_t from, int64_t to) {
    if (!c.is_conv) {
      return net.Module("linear", {x}, {{"in_features", from}, {"out_features", to}});
    }
    return net.Module("conv2d", {x},
                      {{"in_channels", from},
                       {"out_channels", to},
                       {"kernel_size", std::vector<int64_t>{3, 3}},
                       {"padding", std::vector<int64_t>{1, 1}}});
  };
  const char* const norm = c.is_conv ? "batch_norm2d" : "batch_norm1d";
  const int64_t features = c.is_conv ? 3 : 20;
  const int64_t normed = c.norm_first ? features : c.channels;
  Value* x = net.input();
  if (!c.norm_first) x = layer(x, features, c.channels);
  x = net.Module(norm, {x}, {{"num_features", normed}});
  if (c.relu) x = net.Module("relu", {x}, {});
  if (c.norm_first) x = layer(x, features, c.channels);
  x = layer(x, c.channels, 3);
  Graph graph = net.Finish({x});
  for (const std::string suffix : {"", "_1"}) {
    SetRecord(graph, (c.is_conv ? "conv2d" : "linear") + suffix,
              {{"data_in", kEight}, {"weight", kEight}});
  }
  const Node* node = ValueOrDie(graph.LookUpNode(norm));
  const auto set = [&](const char* name, float number, float others, bool buffer) {
    Tensor tensor(DType::kFloat32, {normed});
    std::fill_n(tensor.mutable_data<float>().begin(), normed, others);
    tensor.mutable_data<float>()[1] = number;
    graph.SetTensor(*node->FindParameter(name), std::move(tensor), buffer);
  };
  set("weight", c.weight, 1, false);
  set("bias", c.bias, 0, false);
  set("running_var", c.variance, 1, true);
  return graph;
}

// A norm makes NaN where infinity meets zero or its opposite. No code stands for it, so that where
// the simulation has one, integer execution ends; where it has none they are equal.
TEST(IntegerSpecialTest, ANanThatABatchNormMakesIsNeverACode) {
  constexpr float kHuge = 3e38f, kInfinity = std::numeric_limits<float>::infinity();
  std::vector<NormCase> cases;
  for (const bool is_conv : {false, true}) {
    for (const bool relu : {false, true}) {
      for (const int64_t channels : {6, 200}) {
        for (const bool first : {false, true}) {
          // 3e38 / sqrt(0 + eps) is infinite, and some sums are 0.
          cases.push_back({"infinite scale", is_conv, first, relu, channels, kHuge, 0, 0});
          cases.push_back({"pruned", is_conv, first, relu, channels, 0, 0.5f, 1});
          cases.push_back({"large", is_conv, first, relu, channels, 1e30f, 1e30f, 1});
          cases.push_back({"infinite bias", is_conv, first, relu, channels, 1, -kInfinity, 1});
        }
      }
    }
  }
  int refused = 0, equal = 0;
  for (const NormCase& c : cases) {
    const Graph graph = NetOf(c);
    for (const int64_t rows : {1, 4, 40}) {
      for (const float special : {0.0f, kInfinity}) {
        const int64_t row = c.is_conv ? 75 : 20;
        std::vector<float> data(rows * row, 0.0f);
        for (int64_t i = 0; i < row; ++i) data[(rows - 1) * row + i] = special;
        const std::vector<float> simulated =
            ValueOrDie(Outputs(graph, Execution::kSimulated, rows, data));
        const bool has_nan =
            std::any_of(simulated.begin(), simulated.end(), [](float x) { return std::isnan(x); });
        const auto integer = Outputs(graph, Execution::kInteger, rows, data);
        SCOPED_TRACE(absl::StrCat(c.name, c.is_conv ? ", conv" : ", linear",
                                  c.norm_first ? ", norm first" : "", c.relu ? ", relu" : "", ", ",
                                  c.channels, " channels, ", rows, " rows, a row of ", special));
        if (integer.ok()) {
          EXPECT_FALSE(has_nan);
          EXPECT_THAT(*integer, Pointwise(EqualBits(), simulated));
          ++equal;
        } else {
          // Behind sums a norm is told of before rows are seen, of which these may make no NaN.
          EXPECT_THAT(integer, StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("batch norm")));
          EXPECT_TRUE(has_nan || absl::StrContains(integer.status().message(), "a nan can come"));
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(equal, 100);
}

// float32 knows two zeros, and a division behind shows which.
TEST(IntegerSpecialTest, AProductOfZeroHasTheSignOfItsFactors) {
  TestNet net({2, 5});
  Value* x = net.Function("mul", {net.input(), net.Function("relu", {net.input()}, {})}, {});
  Graph graph = net.Finish({x});
  SetRecord(graph, "mul", {{"data_in", kEight}});
  const std::vector<float> rows = {-1, 0, 1, -0.01f, -7, 7, -3, -0.0f, 2, 0.01f};
  const std::vector<float> simulated = ValueOrDie(Outputs(graph, Execution::kSimulated, 2, rows));
  EXPECT_TRUE(std::signbit(simulated[0]));
  EXPECT_THAT(ValueOrDie(Outputs(graph, Execution::kInteger, 2, rows)),
              Pointwise(EqualBits(), simulated));
}

// A batch norm between two layers makes NaN of every number where its variance is below 0. In one
// step with the other layers, and, where the first is too large for that, in one of its own.
TEST(IntegerSpecialTest, ANanOfABatchNormIsNoCode) {
  for (const int64_t width : {6, 900}) {
    TestNet net({4, 20});
    Value* x = net.Module("linear", {net.input()},
                          {{"in_features", int64_t{20}}, {"out_features", width}});
    x = net.Module("batch_norm1d", {x}, {{"num_features", width}});
    x = net.Module("linear", {x}, {{"in_features", width}, {"out_features", int64_t{3}}});
    Graph graph = net.Finish({x});
    for (const char* layer : {"linear", "linear_1"}) {
      SetRecord(graph, layer, {{"data_in", kEight}, {"weight", kEight}, {"bias", kEight}});
    }
    const Node* norm = ValueOrDie(graph.LookUpNode("batch_norm1d"));
    Tensor variance(DType::kFloat32, {width});
    std::fill_n(variance.mutable_data<float>().begin(), width, 1.0f);
    variance.mutable_data<float>()[4] = -1;
    graph.SetTensor(*norm->FindParameter("running_var"), std::move(variance), /*buffer=*/true);
    EXPECT_THAT(Outputs(graph, Execution::kInteger, 4, RandomValues(4 * 20, 3)),
                StatusIs(absl::StatusCode::kOutOfRange,
                         HasSubstr("linear (linear): channel 4 of the batch norm behind it")));
  }
}

}  // namespace
}  // namespace mase
