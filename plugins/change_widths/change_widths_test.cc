#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kNet[] = R"(
x = placeholder() : f32[2, 16]
fc1 = linear(x, in_features=16, out_features=16)
relu = relu(fc1)
fc2 = linear(relu, in_features=16, out_features=16)
fc3 = linear(fc2, in_features=16, out_features=5)
output = output(fc3)
)";

// Lab 4 as MASE's students write it, for 16 -> 32 -> 64 -> 5.
TEST(ChangeWidthsTest, LabFoursConfig) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("redefine_linear_transform_pass", R"pb(
                                by: NAME
                                rules {
                                  match: "fc1"
                                  config { name: "output_only" channel_multiplier: 2 }
                                }
                                rules {
                                  match: "fc2"
                                  config { name: "both" channel_multiplier: 2 }
                                }
                                rules {
                                  match: "fc3"
                                  config { name: "input_only" channel_multiplier: 2 }
                                }
                              )pb",
                              graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(graph, EqualsGraph(R"(
x = placeholder() : f32[2, 16]
fc1 = linear(x, in_features=16, out_features=32)
relu = relu(fc1)
fc2 = linear(relu, in_features=32, out_features=32)
fc3 = linear(fc2, in_features=32, out_features=5)
output = output(fc3)
)"));
  EXPECT_EQ(run.decision("fc1"), "changed: rule 'fc1': channel_multiplier = 2");
  EXPECT_EQ(run.count("layers_changed"), 2);
}

TEST(ChangeWidthsTest, NeighboursThatDoNotAgreeAreRefused) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("change_widths", R"pb(
                                rules {
                                  match: "fc1"
                                  config { channel_multiplier: 2 }
                                }
                                rules {
                                  match: "fc2"
                                  config { name: "both" channel_multiplier: 4 }
                                }
                              )pb",
                              graph);
  EXPECT_THAT(run.status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'fc2' (linear): channel_multiplier = 4: the channels that it "
                                 "reads: they are those of 'fc1', too, which is to have 32")));
}

TEST(ChangeWidthsTest, ADefaultLeavesTheNetsResultsAndARuleByNameIsRefusedThere) {
  Graph graph = ValueOrDie(BuildModel({.model = "jsc-toy", .input = {16}, .classes = 5}));
  const PassRun run =
      RunPass("change_widths", "default { config { channel_multiplier: 0.5 } }", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("widths"),
            "node,op,before,after,reason\n"
            "seq_blocks_2,linear,8,4,rule 'default': channel_multiplier = 0.5\n"
            "seq_blocks_5,linear,8,4,rule 'default': channel_multiplier = 0.5\n"
            "seq_blocks_8,linear,5,5,'output' (output) has them as the net's results\n");
  EXPECT_THAT(RunPass("change_widths", R"pb(rules {
                                              match: "seq_blocks_8"
                                              config { channels: 10 }
                                            })pb",
                      graph)
                  .status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'seq_blocks_8' (linear): channels = 10: 'output' (output) has "
                                 "them as the net's results")));
}

// A rule for all that asks for what a layer gives and reads leaves it alone where it cannot have
// both, and what changes with a neighbour is not said to have no rule.
TEST(ChangeWidthsTest, ADefaultOfBothIsAllOrNothing) {
  constexpr char kBoth[] = "default { config { name: 'both' channel_multiplier: 2 } }";
  Graph two = ParseGraph(R"(
x = placeholder() : f32[2, 16]
fc1 = linear(x, in_features=16, out_features=16)
fc2 = linear(fc1, in_features=16, out_features=5)
output = output(fc2)
)");
  EXPECT_EQ(RunPass("change_widths", kBoth, two).count("layers_changed"), 0);
  Graph three = ParseGraph(kNet);
  const PassRun run = RunPass("change_widths", kBoth, three);
  EXPECT_THAT(run.decision("fc1"), HasSubstr("changed: the channels that it reads: "));
  EXPECT_THAT(run.decision("fc2"), HasSubstr("changed: rule 'default'"));
  Graph chain = ParseGraph(R"(
x = placeholder() : f32[2, 16]
fc1 = linear(x, in_features=16, out_features=16)
fc2 = linear(fc1, in_features=16, out_features=16)
sum = add(fc1, fc2)
fc3 = linear(sum, in_features=16, out_features=5)
output = output(fc3)
)");
  EXPECT_EQ(
      RunPass("change_widths", "by: NAME rules { match: 'fc1' config { channels: 8 } }", chain)
          .decision("fc2"),
      "changed: goes along with a layer that has a rule");
}

TEST(ChangeWidthsTest, ADefaultGivesWayToRulesThatNameLayers) {
  Graph graph = ValueOrDie(BuildModel({.model = "resnet18", .input = {3, 32, 32}, .classes = 5}));
  const PassRun run = RunPass("change_widths", R"pb(
                                rules {
                                  match: "layer1_1_conv2"
                                  config { channels: 48 }
                                }
                                default { config { channel_multiplier: 0.5 } }
                              )pb",
                              graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(graph.FindNode("conv1")->attributes().Int("out_channels"), 48);
  EXPECT_EQ(graph.FindNode("layer1_0_conv1")->attributes().Int("out_channels"), 32);
  EXPECT_THAT(run.table("widths"),
              HasSubstr("conv1,conv2d,64,48,\"they are those of 'layer1_1_conv2', too, which is to "
                        "have 48 (they meet in 'add_1')\""));
}

TEST(ChangeWidthsTest, RulesByOpAndByExpression) {
  Graph graph = ValueOrDie(BuildModel({.model = "vgg7_tiny", .input = {3, 8, 8}, .classes = 5}));
  ASSERT_OK(RunPass("change_widths", R"pb(
                      by: REGEX_NAME
                      rules {
                        match: "feature_layers_[02]"
                        config { channels: 12 }
                      }
                    )pb",
                    graph)
                .status);
  EXPECT_EQ(graph.FindNode("feature_layers_2")->attributes().Int("out_channels"), 12);
  ASSERT_OK(RunPass("change_widths", R"pb(
                      by: TYPE
                      rules {
                        match: "conv2d"
                        config { channel_multiplier: 0.5 }
                      }
                    )pb",
                    graph)
                .status);
  EXPECT_EQ(graph.FindNode("feature_layers_0")->attributes().Int("out_channels"), 6);
  EXPECT_EQ(graph.FindNode("feature_layers_5")->attributes().Int("out_channels"), 4);
}

TEST(ChangeWidthsTest, WeightsOfAnotherNet) {
  Graph graph = ParseGraph(kNet);
  TestHost host;
  host.graphs.emplace("trained.safetensors", ParseGraph(kNet));
  Tensor& trained = *host.graphs.at("trained.safetensors").MutableTensor("fc2.weight");
  for (float& number : trained.mutable_data<float>()) number = 3;
  const PassRun run = RunPasses({MakePass("change_widths", R"pb(
                                  rules {
                                    match: "fc1"
                                    config { channels: 17 }
                                  }
                                  weights_from: "trained.safetensors"
                                )pb")},
                                graph, host);
  ASSERT_OK(run.status);
  const absl::Span<const float> row = graph.FindTensor("fc2.weight")->value.data<float>();
  EXPECT_EQ(row[15], 3);
  EXPECT_NE(row[16], 3);  // Only the wider net has it.
  EXPECT_EQ(row[17], 3);
  EXPECT_THAT(run.printed, HasSubstr("6 of 6 tensors of weights are taken from trained.safet"));
}

TEST(ChangeWidthsTest, WeightsOfANetOfOtherLayersAreCountedOrRefused) {
  Graph graph = ParseGraph(kNet);
  TestHost host;
  const auto take = [&](const char* layers) {
    host.graphs.erase("other.safetensors");
    host.graphs.emplace("other.safetensors",
                        ValueOrDie(BuildModel({.model = layers, .input = {16}, .classes = 5})));
    return RunPasses({MakePass("change_widths", R"pb(weights_from: "other.safetensors")pb")}, graph,
                     host);
  };
  const PassRun some = take("fc1 = Linear 16; fc4 = Linear classes");
  ASSERT_OK(some.status);
  EXPECT_THAT(some.report.warnings(),
              ElementsAre(HasSubstr("2 of 6 tensors of weights are taken from other.safetensors; "
                                    "the others keep")));
  EXPECT_THAT(take("Linear 16, Linear classes").status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("other.safetensors: graph ")));
}

struct Bad {
  const char* options;
  const char* message;
};

TEST(ChangeWidthsTest, BadRulesNameLayerAndSetting) {
  for (const Bad& bad : std::vector<Bad>{
           {R"pb(rules {
                   match: "fc1"
                   config { channel_multiplier: 0.3 }
                 })pb",
            "'fc1' (linear): channel_multiplier = 0.3: 16 times that are 4.8 channels; want a "
            "whole number"},
           {R"pb(rules {
                   match: "fc1"
                   config { channels: 4 channel_multiplier: 2 }
                 })pb",
            "fc1: channels and channel_multiplier both say how many"},
           {R"pb(rules {
                   match: "fc1"
                   config { name: "both" }
                 })pb",
            "fc1: both wants a channel_multiplier, or channels"},
           {R"pb(rules {
                   match: "fc"
                   config { channels: 4 }
                 })pb",
            "rule 'fc': no layer is called so; did you mean 'fc1'?"},
           {R"pb(rules {
                   match: "relu"
                   config { channels: 4 }
                 })pb",
            "rule 'relu': 'relu' (relu) has no channels of its own; those with channels are fc1, "
            "fc2, fc3"},
           {R"pb(rules {
                   match: "fc1"
                   config { channels: 0 }
                 })pb",
            "channels"},
           {R"pb(by: TYPE
                 rules {
                   match: "linaer"
                   config { channels: 4 }
                 })pb",
            "linaer"},
           {R"pb(rules {
                   match: "fc1"
                   config { name: "input_only" channels: 8 }
                 })pb",
            "no layer gives them: they are as many as the net reads"}}) {
    Graph graph = ParseGraph(kNet);
    const PassRun run = RunPass("change_widths", bad.options, graph);
    EXPECT_THAT(run.status.message(), HasSubstr(bad.message)) << bad.options;
  }
}

TEST(ChangeWidthsTest, LayersWithFormatsAreRefused) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 16]
fc1 = linear(x, in_features=16, out_features=16)
  quantized integer class Integer
  weight = integer { width: 8 frac_width: 4 }
fc2 = linear(fc1, in_features=16, out_features=5)
output = output(fc2)
)");
  EXPECT_THAT(RunPass("change_widths", R"pb(rules {
                                              match: "fc1"
                                              config { channels: 4 }
                                            })pb",
                      graph)
                  .status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'fc1' has a number format: change widths before quantize")));
}

}  // namespace
}  // namespace mase
