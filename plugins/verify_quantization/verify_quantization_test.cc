#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The layer of report 000 with the first ten of its weights.
Graph MakeNet(const std::string& weight_format = "integer { width: 8 frac_width: 4 }") {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 10]
fc = linear(x, in_features=10, out_features=1, bias=False)
  quantized integer
  data_in = integer { width: 8 frac_width: 4 }
  weight = )" + weight_format +
                           R"(
relu = relu(fc)
output = output(relu)
)");
  graph.SetTensor(
      "fc.weight",
      Tensor::FromValues<float>({1, 10}, {-0.2631f, 0.2186f, -0.1505f, 0.0112f, -0.0510f, 0.1241f,
                                          0.0753f, 0.3352f, 0.0506f, 0.3139f}),
      false);
  return graph;
}

class Host : public TestHost {
 public:
  Host() {
    std::vector<float> x(20, 0.5f);
    x[3] = 9;
    x[17] = 0.01f;
    samples["x"] = Tensor::FromValues<float>({2, 10}, x);
  }
};

TEST(VerifyQuantizationTest, TheFirstValuesWithTheirCodes) {
  Graph graph = MakeNet();
  Host host;
  const PassRun run = RunPasses({MakePass("verify_quantization")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_THAT(run.printed, HasSubstr("fc.weight: integer 8/4, 10 values\n"
                                     "  -0.2631 -> -0.2500 (-4)  0.2186 -> 0.1875 (3)     "
                                     "-0.1505 -> -0.1250 (-2)\n"));
  EXPECT_THAT(run.artifacts.at("verify_quantization/values.csv"),
              HasSubstr("fc,weight,9,0.3138999938964844,0.3125,5\n"));
  EXPECT_EQ(run.count("weights"), 1);
  EXPECT_EQ(run.count("activations"), 1);
  EXPECT_EQ(run.count("off_grid"), 0);
}

TEST(VerifyQuantizationTest, TheTableOfOperands) {
  Graph graph = MakeNet();
  Host host;
  const PassRun run = RunPasses({MakePass("verify_quantization", "show: 0")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("Operands with a number format; 2 test rows"));
  EXPECT_THAT(run.printed, Not(HasSubstr("->")));
  const std::string& csv = run.artifacts.at("verify_quantization/operands.csv");
  // 9 saturates at 7.9375, 0.01 becomes 0; of both 18 times 0.5 stays.
  EXPECT_THAT(csv, HasSubstr("fc,data_in_0,integer 8/4,20,18.79"));
  EXPECT_THAT(csv, HasSubstr(",5,5,3,yes\n"));
  EXPECT_THAT(csv, HasSubstr("fc,weight,integer 8/4,10,"));
  EXPECT_THAT(csv, HasSubstr(",0,10,8,yes\n"));
}

TEST(VerifyQuantizationTest, AWeightOffItsGridFailsTheRun) {
  Graph graph = MakeNet("minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE");
  EXPECT_OK(RunPass("verify_quantization", "", graph).status);
  graph.MutableTensor("fc.weight")->mutable_data<float>()[7] = 1e-9f;
  const PassRun run = RunPass("verify_quantization", "", graph);
  EXPECT_THAT(run.status,
              StatusIs(absl::StatusCode::kAborted, HasSubstr("fc.weight: minifloat_ieee")));
  EXPECT_THAT(run.status.message(), HasSubstr("element 7, 1e-09 after quantizing, has no code"));
  EXPECT_THAT(run.printed, HasSubstr("NO"));
}

TEST(VerifyQuantizationTest, StoredWeightsMustBeRoundedAlready) {
  Graph graph = MakeNet();
  EXPECT_THAT(RunPass("verify_quantization", "stored: true", graph).status,
              StatusIs(absl::StatusCode::kAborted,
                       HasSubstr("fc.weight: 10 of 10 stored values are not rounded yet")));
  for (float& x : graph.MutableTensor("fc.weight")->mutable_data<float>()) x = 0.25f;
  EXPECT_OK(RunPass("verify_quantization", "stored: true", graph).status);
}

TEST(VerifyQuantizationTest, WithoutDataWeightsAlone) {
  Graph graph = MakeNet();
  const PassRun run = RunPass("verify_quantization", "", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("no activations"));
  EXPECT_EQ(run.count("activations"), 0);
}

TEST(VerifyQuantizationTest, ThereMustBeSomethingToVerify) {
  Graph graph = MakeNet();
  EXPECT_THAT(RunPass("verify_quantization", "nodes: 'fcc'", graph).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'fc'")));
  EXPECT_THAT(RunPass("verify_quantization", "nodes: 'relu'", graph).status.message(),
              HasSubstr("no node has a number format"));
  graph.ClearQuantization(graph.FindNode("fc"));
  EXPECT_THAT(RunPass("verify_quantization", "", graph).status.message(),
              HasSubstr("no node has a number format"));
}

}  // namespace
}  // namespace mase
