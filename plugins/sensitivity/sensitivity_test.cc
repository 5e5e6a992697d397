#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"
#include "mase/testing/two_layers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> Lines(const PassRun& run) {
  return absl::StrSplit(run.artifacts.at("sensitivity/nodes.csv"), '\n');
}

TEST(SensitivityTest, TheNodeThatCostsMostComesFirst) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  const PassRun run = RunPasses({MakePass("sensitivity")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_NE(graph.FindNode("first")->quantization(), nullptr);
  EXPECT_THAT(run.printed,
              HasSubstr("Each node quantized alone, and all but it, on 200 test rows"));
  EXPECT_THAT(run.printed, HasSubstr("All quantized: SQNR 1"));
  const std::vector<std::string> lines = Lines(run);
  EXPECT_THAT(lines, ElementsAre(StartsWith("node,op,alone: accuracy"), StartsWith("second,linear"),
                                 StartsWith("first,linear"), ""));
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
  // After each batch, which is a net here, and each net.
  EXPECT_THAT(host.progress, ElementsAre(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6));
}

TEST(SensitivityTest, EndsWhereTheUserWantsItTo) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  host.interrupt_at = 5;
  const PassRun run = RunPasses({MakePass("sensitivity")}, graph, host);
  EXPECT_THAT(run.status,
              StatusIs(absl::StatusCode::kCancelled, "sensitivity: first: interrupted"));
  EXPECT_THAT(host.progress, ElementsAre(0, 1, 1, 2, 2));
}

TEST(SensitivityTest, SortedByWhatIsAskedFor) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  const PassRun run = RunPasses({MakePass("sensitivity", "sort: SQNR_WITHOUT")}, graph, host);
  EXPECT_THAT(Lines(run)[1], StartsWith("second"));
}

TEST(SensitivityTest, WithoutLabelsTheErrorOfTheOutputs) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host(/*labelled=*/false);
  const PassRun run = RunPasses({MakePass("sensitivity", "sort: LOSS")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_THAT(Lines(run)[1], StartsWith("second,linear,,,1"));
}

TEST(SensitivityTest, NeedsFormatsAndData) {
  Graph graph = TwoLayerNet();
  EXPECT_THAT(RunPass("sensitivity", "", graph).status,
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("no data")));
  graph.ClearQuantization(graph.FindNode("first"));
  graph.ClearQuantization(graph.FindNode("second"));
  EXPECT_THAT(RunPass("sensitivity", "", graph).status.message(),
              HasSubstr("no node has a number format"));
}

}  // namespace
}  // namespace mase
