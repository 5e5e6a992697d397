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

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CompareActivationsTest, LayerByLayerAndTheFirstThatFalls) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  const PassRun run = RunPasses({MakePass("compare_activations")}, graph, host);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_THAT(run.printed, HasSubstr("Float against quantized on 200 test rows"));
  EXPECT_THAT(run.printed, HasSubstr("The first layer below 20 dB is second (linear), at 1"));
  // What adds most comes first.
  EXPECT_THAT(run.printed, HasSubstr("  [passes.quantize]\n"
                                     "  keep_float = [\"second\", \"first\"]\n"));
  const std::vector<std::string> lines =
      absl::StrSplit(run.artifacts.at("compare_activations/layers.csv"), '\n');
  ASSERT_EQ(lines.size(), 6);
  EXPECT_THAT(lines[1], HasSubstr("first,linear,integer,"));
  EXPECT_THAT(lines[4], HasSubstr("output,output,,"));
  const auto& result = run.pass_report().result().fields();
  EXPECT_EQ(result.at("first_fallen").string_value(), "second");
}

TEST(CompareActivationsTest, AsManyLayersAsAreAskedFor) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  PassRun run =
      RunPasses({MakePass("compare_activations", "worst: 1 least_sqnr_db: 0")}, graph, host);
  EXPECT_THAT(run.printed, HasSubstr("No layer falls below 0 dB."));
  EXPECT_THAT(run.printed, HasSubstr("To keep the 1 layer in float that adds most"));
  EXPECT_THAT(run.printed, HasSubstr("keep_float = [\"second\"]\n"));
  TwoLayerHost other;
  run = RunPasses({MakePass("compare_activations", "worst: 0")}, graph, other);
  EXPECT_THAT(run.printed, Not(HasSubstr("keep_float")));
}

TEST(CompareActivationsTest, FormatsThatChangeNothingAreExact) {
  Graph graph = TwoLayerNet();
  graph.ClearQuantization(graph.FindNode("second"));
  TwoLayerHost host;
  for (float& x : host.samples["x"].mutable_data<float>()) x = 0.5f;
  const PassRun run = RunPasses({MakePass("compare_activations")}, graph, host);
  EXPECT_THAT(run.printed, HasSubstr("exact"));
  EXPECT_THAT(run.printed, HasSubstr("No layer falls below 20 dB."));
  EXPECT_THAT(run.printed, Not(HasSubstr("keep_float")));
}

TEST(CompareActivationsTest, ALayerThatAddsNoErrorIsNotCalledExact) {
  Graph graph = TwoLayerNet();
  TwoLayerHost host;
  const PassRun run = RunPasses({MakePass("compare_activations")}, graph, host);
  // The output has the error of the second layer, and adds none.
  const std::vector<std::string> lines =
      absl::StrSplit(run.artifacts.at("compare_activations/layers.csv"), '\n');
  EXPECT_THAT(lines[4], HasSubstr("output,output,,"));
  EXPECT_THAT(lines[4], HasSubstr(",adds none,"));
  EXPECT_THAT(run.printed, Not(HasSubstr("exact")));
}

TEST(CompareActivationsTest, NeedsFormatsAndData) {
  Graph graph = TwoLayerNet();
  EXPECT_THAT(RunPass("compare_activations", "", graph).status,
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("no data")));
  graph.ClearQuantization(graph.FindNode("first"));
  graph.ClearQuantization(graph.FindNode("second"));
  EXPECT_THAT(RunPass("compare_activations", "", graph).status.message(),
              HasSubstr("no node has a number format"));
}

}  // namespace
}  // namespace mase
