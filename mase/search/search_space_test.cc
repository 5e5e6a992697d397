#include "mase/search/search_space.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/search/objective.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

SearchSpaceSettings Settings(const std::string& text) {
  SearchSpaceSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &settings));
  return settings;
}

Graph Tiny() { return BuildModel({.model = "jsc-tiny", .input = {16}, .classes = 5}).value(); }

std::vector<std::string> Names(const SearchSpace& space) {
  std::vector<std::string> names;
  for (const SearchParameter& parameter : space.parameters().parameters()) {
    names.push_back(parameter.name);
  }
  return names;
}

constexpr char kFormats[] = R"pb(
  name: "graph/quantize/mixed_precision_ptq"
  setup { by: "type" }
  seed {
    match: "default"
    config {
      name: "name"
      values { null_value: NULL_VALUE }
    }
  }
  seed {
    match: "linear"
    config {
      name: "weight_width"
      values { number_value: 4 }
      values { number_value: 8 }
    }
    config {
      name: "name"
      values { null_value: NULL_VALUE }
      values { string_value: "integer" }
      values { string_value: "lsq" }
    }
    config {
      name: "weight_frac_width"
      values { null_value: NULL_VALUE }
    }
  }
)pb";

TEST(SearchSpaceTest, KeysAreThereWithTheFormatsThatKnowThem) {
  const SearchSpace space = SearchSpace::Create(Settings(kFormats), Tiny()).value();
  EXPECT_THAT(space.nodes(), ElementsAre("seq_blocks_1", "seq_blocks_2", "seq_blocks_3"));
  EXPECT_THAT(Names(space),
              ElementsAre("seq_blocks_1/config/name", "seq_blocks_2/config/name",
                          "seq_blocks_2/config/weight_width",
                          "seq_blocks_2/config/weight_frac_width", "seq_blocks_3/config/name"));
  EXPECT_EQ(space.parameters().size(), uint64_t{4});  // None, lsq, and two widths of integers.
  EXPECT_TRUE(space.formats_alone());
  EXPECT_EQ(space.SampledConfig({0, 0, kInactive, kInactive, 0}),
            R"({"seq_blocks_1":{"config":{"name":null}},"seq_blocks_2":{"config":{"name":null}},)"
            R"("seq_blocks_3":{"config":{"name":null}},"by":"name"})");
}

TEST(SearchSpaceTest, APointIsSettings) {
  const SearchSpace space = SearchSpace::Create(Settings(kFormats), Tiny()).value();
  std::vector<std::string> lines;
  for (const Assignment& assignment : space.AssignmentsOf({0, 1, 1, 0, 0})) {
    lines.push_back(assignment.setting + "=" + assignment.text);
  }
  EXPECT_THAT(lines, ElementsAre("passes.quantize.rules=[]", "passes.quantize.default=NA",
                                 "passes.quantize.by=name", "passes.quantize.allow_unchanged=true",
                                 "passes.quantize.seq_blocks_1.config.name=NA",
                                 "passes.quantize.seq_blocks_2.config.name=integer",
                                 "passes.quantize.seq_blocks_2.config.weight_width=8",
                                 "passes.quantize.seq_blocks_2.config.weight_frac_width=NA",
                                 "passes.quantize.seq_blocks_3.config.name=NA"));
  const QuantizeConfig config = space.ConfigOf(1, {0, 1, 1, 0, 0}).value();
  EXPECT_EQ(config.name(), "integer");
  EXPECT_EQ(config.weight().width(), 8);
  EXPECT_FALSE(config.weight().has_frac_width());
}

// None of a rule is no rule; none of an operand is a choice.
TEST(SearchSpaceTest, AnOperandMayStayFloat) {
  const SearchSpace space = SearchSpace::Create(Settings(R"pb(
                                                  setup { by: "type" }
                                                  seed {
                                                    match: "linear"
                                                    config {
                                                      name: "name"
                                                      values { string_value: "integer" }
                                                    }
                                                    config {
                                                      name: "bias_name"
                                                      values { null_value: NULL_VALUE }
                                                      values { string_value: "binary" }
                                                    }
                                                  }
                                                )pb"),
                                                Tiny())
                                .value();
  EXPECT_THAT(space.nodes(), ElementsAre("seq_blocks_2"));
  EXPECT_EQ(space.ConfigOf(0, {0, 0})->bias().name(), "NA");
  EXPECT_EQ(space.ConfigOf(0, {0, 1})->bias().name(), "binary");
}

// A stage of a ResNet has one number of channels between its blocks, and a choice of it.
TEST(SearchSpaceTest, ChannelsThatLayersShareAreOneChoice) {
  const Graph graph = BuildModel({.model = "resnet18", .input = {3, 32, 32}, .classes = 5}).value();
  const SearchSpace space = SearchSpace::Create(Settings(R"pb(
                                                  setup { by: "type" }
                                                  seed {
                                                    match: "conv2d"
                                                    config {
                                                      name: "channel_multiplier"
                                                      values { number_value: 0.5 }
                                                      values { number_value: 1 }
                                                    }
                                                  }
                                                )pb"),
                                                graph)
                                .value();
  // Of four stages, and inside of each of eight blocks.
  EXPECT_EQ(space.parameters().parameters().size(), 12u);
  EXPECT_THAT(Names(space), Contains("conv1/config/channel_multiplier"));
  EXPECT_THAT(Names(space), Contains("layer1_0_conv1/config/channel_multiplier"));
  EXPECT_THAT(Names(space), Not(Contains("layer1_0_conv2/config/channel_multiplier")));
  EXPECT_FALSE(space.formats_alone());
  EXPECT_TRUE(space.nodes().empty());
  Point point(12, kInactive);
  point[0] = 0;
  std::vector<std::string> lines;
  for (const Assignment& assignment : space.AssignmentsOf(point)) {
    lines.push_back(assignment.setting + "=" + assignment.text);
  }
  EXPECT_THAT(lines, ElementsAre("passes.change_widths.rules=[]", "passes.change_widths.by=name",
                                 "passes.change_widths.allow_unchanged=true",
                                 "passes.change_widths.conv1.config.channel_multiplier=0.5"));
}

TEST(SearchSpaceTest, ALayerThatAnotherOnesChoiceIsForIsNamed) {
  const Graph graph = BuildModel({.model = "resnet18", .input = {3, 32, 32}, .classes = 5}).value();
  const auto seed = [](const std::string& node) {
    return "seed { match: '" + node + "' config { name: 'channels' values { number_value: 8 } } }";
  };
  EXPECT_THAT(SearchSpace::Create(Settings(seed("conv1") + seed("layer1_0_conv2")), graph).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("seed.layer1_0_conv2.config.channels: its channels are those of "
                                 "'conv1', too, which chooses for both")));
}

TEST(SearchSpaceTest, OtherSettingsHaveRangesAndConditions) {
  const SearchSpace space = SearchSpace::Create(Settings(R"pb(
                                                  settings {
                                                    name: "training_optimizer"
                                                    values { string_value: "adam" }
                                                    values { string_value: "sgd" }
                                                  }
                                                  settings {
                                                    name: "weight_decay"
                                                    low: 0
                                                    high: 4
                                                    step: 2
                                                    when {
                                                      name: "training_optimizer"
                                                      values { string_value: "adam" }
                                                    }
                                                  }
                                                )pb"),
                                                Graph())
                                .value();
  EXPECT_EQ(space.parameters().size(), uint64_t{4});
  EXPECT_FALSE(space.formats_alone());
  const std::vector<Assignment> sgd = space.AssignmentsOf({1, kInactive});
  ASSERT_EQ(sgd.size(), 1u);
  EXPECT_EQ(sgd[0].text, "sgd");
  EXPECT_THAT(
      SearchSpace::Create(Settings(R"pb(settings { name: "a" low: 1 })pb"), Graph()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("settings.a: want a list of values, or both low and high")));
}

TEST(ObjectiveTest, ConstraintsRefusePointsOrMeasureFigures) {
  SearchSettings settings;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        search_space {
          settings {
            name: "a"
            values { number_value: 1 }
            values { number_value: 2 }
          }
          settings {
            name: "b"
            values { number_value: 1 }
            values { number_value: 2 }
          }
          constraints: "a == b"
          constraints: "packed_bytes <= 100"
        }
        strategy {
          metrics { name: "loss" scale: 2 }
          metrics { name: "accuracy" }
        }
      )pb",
      &settings));
  const SearchSpace space = SearchSpace::Create(settings.search_space(), Graph()).value();
  const Objective objective = Objective::Create(settings, space.parameters()).value();
  EXPECT_THAT(objective.names(), ElementsAre("accuracy", "loss"));
  EXPECT_THAT(objective.directions(), ElementsAre(Direction::kMaximize, Direction::kMinimize));
  EXPECT_EQ(objective.Refusal({0, 0}), "");
  EXPECT_EQ(objective.Refusal({0, 1}), "a == b");
  const TrialFigures figures = {{{"accuracy", 0.5}, {"loss", 1.5}}, {{"packed_bytes", 130}}};
  EXPECT_THAT(objective.ValuesOf(figures).value(), ElementsAre(0.5, 3.0));
  EXPECT_THAT(objective.ConstraintsOf(figures), ElementsAre(30));
  const TrialFigures bad = {{{"accuracy", 0.5}, {"loss", std::nan("")}}, {}};
  EXPECT_THAT(objective.ValuesOf(bad).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the metric loss is nan")));
}

}  // namespace
}  // namespace mase
