#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kNet[] = R"(
x = placeholder() : f32[2, 4]
a = linear(x, in_features=4, out_features=2)
b = relu(a)
c = linear(b, in_features=2, out_features=2)
output = output(c)
)";

TEST(NaturalSparsityTest, ZerosOfWeightsAndInputs) {
  Graph graph = ParseGraph(kNet);
  // The first layer hands on x[0] and -x[0]: one of them becomes 0.
  const auto weight = graph.MutableTensor("a.weight")->mutable_data<float>();
  weight[0] = 1;
  weight[4] = -1;
  for (float& w : graph.MutableTensor("c.weight")->mutable_data<float>()) w = 1;
  TestHost host;
  host.samples["x"] = Tensor::FromValues<float>({2, 4}, {1, -0.0f, 0, 3, -2, 5, 6, 7});
  const PassRun run = RunPasses({MakePass("natural_sparsity")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("sparsity"),
            "node,weight zeros,weight elements,weight sparsity,input zeros,input elements,"
            "input sparsity\n"
            "a,6,8,0.75,2,8,0.25\n"
            "c,0,4,0,2,4,0.5\n");
  EXPECT_EQ(run.result("avg_weight"), 0.5);
  EXPECT_EQ(run.result("avg_activation"), 4.0 / 12);
}

TEST(NaturalSparsityTest, MasesNameIsTheSamePassAndWithoutDataItSaysSo) {
  Graph graph = ParseGraph(kNet);
  EXPECT_THAT(RunPass("add_natural_sparsity", "", graph).status,
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("natural_sparsity")));
}

}  // namespace
}  // namespace mase
