#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Graph MakeNet() {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 2]
fine = linear(x, in_features=2, out_features=2, bias=False)
  quantized integer
  data_in = integer { width: 12 frac_width: 8 }
relu = relu(fine)
coarse = linear(relu, in_features=2, out_features=2, bias=False)
  quantized integer
  weight = integer { width: 3 frac_width: 1 }
output = output(coarse)
)");
  graph.SetTensor("fine.weight", Tensor::FromValues<float>({2, 2}, {1, 0.5f, -0.25f, 1}), false);
  graph.SetTensor("coarse.weight", Tensor::FromValues<float>({2, 2}, {0.3f, 0.8f, 0.4f, 0.6f}),
                  false);
  return graph;
}

// Class 1 where the first number is the larger one.
class Host : public TestHost {
 public:
  explicit Host(bool labelled = true) {
    std::vector<float> x(400);
    std::vector<int64_t> y(200);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    for (size_t i = 0; i < y.size(); ++i) y[i] = x[2 * i] > x[2 * i + 1] ? 1 : 0;
    samples["x"] = Tensor::FromValues<float>({200, 2}, x);
    if (labelled) labels = Tensor::FromValues<int64_t>({200}, y);
  }
};

std::vector<std::string> Lines(const PassRun& run) {
  return absl::StrSplit(run.artifacts.at("sensitivity/nodes.csv"), '\n');
}

TEST(SensitivityTest, TheNodeThatCostsMostComesFirst) {
  Graph graph = MakeNet();
  Host host;
  const PassRun run = RunPasses({MakePass("sensitivity")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_NE(graph.FindNode("fine")->quantization(), nullptr);
  EXPECT_THAT(run.printed,
              HasSubstr("Each node quantized alone, and all but it, on 200 test rows"));
  EXPECT_THAT(run.printed, HasSubstr("All quantized: SQNR 1"));
  const std::vector<std::string> lines = Lines(run);
  EXPECT_THAT(lines, ElementsAre(StartsWith("node,op,alone: accuracy"), StartsWith("coarse,linear"),
                                 StartsWith("fine,linear"), ""));
  // With two nodes all but one is the other alone.
  const std::vector<std::string> coarse = absl::StrSplit(lines[1], ','),
                                 fine = absl::StrSplit(lines[2], ',');
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(coarse[i], fine[i + 3]);
    EXPECT_EQ(coarse[i + 3], fine[i]);
  }
  EXPECT_LT(std::stod(coarse[4]), std::stod(fine[4]));
  EXPECT_EQ(run.count("nodes"), 2);
  EXPECT_GT(run.pass_report().result().fields().at("float_accuracy").number_value(), 0.4);
  EXPECT_THAT(host.progress, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(SensitivityTest, SortedByWhatIsAskedFor) {
  Graph graph = MakeNet();
  Host host;
  const PassRun run = RunPasses({MakePass("sensitivity", "sort: SQNR_WITHOUT")}, graph, host);
  EXPECT_THAT(Lines(run)[1], StartsWith("coarse"));
}

TEST(SensitivityTest, WithoutLabelsTheErrorOfTheOutputs) {
  Graph graph = MakeNet();
  Host host(/*labelled=*/false);
  const PassRun run = RunPasses({MakePass("sensitivity", "sort: LOSS")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_THAT(Lines(run)[1], StartsWith("coarse,linear,,,1"));
}

TEST(SensitivityTest, NeedsFormatsAndData) {
  Graph graph = MakeNet();
  EXPECT_THAT(RunPass("sensitivity", "", graph).status,
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("no data")));
  graph.ClearQuantization(graph.FindNode("fine"));
  graph.ClearQuantization(graph.FindNode("coarse"));
  EXPECT_THAT(RunPass("sensitivity", "", graph).status.message(),
              HasSubstr("no node has a number format"));
}

}  // namespace
}  // namespace mase
