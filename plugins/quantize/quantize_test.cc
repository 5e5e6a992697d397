#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/pass/common_metadata.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

// jsc-tiny.
constexpr char kTiny[] = R"(
graph jsc-tiny
x = placeholder() : f32[8, 16]
seq_blocks_0 = batch_norm1d(x, num_features=16) @seq_blocks.0
seq_blocks_1 = relu(seq_blocks_0, inplace=True) @seq_blocks.1
seq_blocks_2 = linear(seq_blocks_1, in_features=16, out_features=5) @seq_blocks.2
seq_blocks_3 = dropout(seq_blocks_2) @seq_blocks.3
output = output(seq_blocks_3)
)";

// Every pair of ops that the two-input tables treat differently.
constexpr char kFunctions[] = R"(
x = placeholder() : f32[2, 4, 4]
add = add(x, x)
bmm = bmm(add, x)
relu = function relu(bmm)
gelu = function gelu(relu)
selu = function selu(gelu)
output = output(selu)
)";

constexpr char kEightFour[] = R"pb(
  name: "integer"
  data_in { width: 8 frac_width: 4 }
  weight { width: 8 frac_width: 4 }
  bias { width: 8 frac_width: 4 }
)pb";

std::string Rule(absl::string_view match, absl::string_view config = kEightFour) {
  return absl::StrCat(" rules { match: '", match, "' config {", config, "} }");
}

std::string By(absl::string_view by, absl::string_view rules) {
  return absl::StrCat("by: ", by, " ", rules);
}

// "data_in: integer { ... }" for each operand of a node's record.
std::vector<std::string> Operands(const Graph& graph, absl::string_view node) {
  std::vector<std::string> operands;
  const Quantization* record = graph.FindNode(node)->quantization();
  if (record == nullptr) return {"none"};
  for (const OperandFormat& operand : record->operand()) {
    operands.push_back(absl::StrCat(operand.operand(), ": ", operand.format().ShortDebugString()));
  }
  return operands;
}

TEST(QuantizeTest, ByTypeQuantizesEveryNodeOfTheOp) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize", By("TYPE", Rule("linear")), graph);
  ASSERT_OK(run.status);
  EXPECT_TRUE(run.changed());
  EXPECT_EQ(run.count("nodes_quantized"), 1);
  EXPECT_EQ(run.count("nodes_unchanged"), 3);
  EXPECT_EQ(graph.FindNode("seq_blocks_2")->Description(),
            "LinearInteger(in_features=16, out_features=5, bias=True)");
  EXPECT_THAT(Operands(graph, "seq_blocks_2"),
              ElementsAre("data_in: integer { width: 8 frac_width: 4 }",
                          "weight: integer { width: 8 frac_width: 4 }",
                          "bias: integer { width: 8 frac_width: 4 }"));
}

TEST(QuantizeTest, SaysWhyForEveryNode) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize", Rule("linear") + Rule("batch_norm1d", ""), graph);
  EXPECT_EQ(run.decision("seq_blocks_0"), "unchanged: rule 'batch_norm1d' says none");
  EXPECT_EQ(run.decision("seq_blocks_1"), "unchanged: no rule for relu");
  EXPECT_EQ(run.decision("seq_blocks_2"), "quantized: integer data_in 8/4, weight 8/4, bias 8/4");
  EXPECT_EQ(run.decision("seq_blocks_3"), "unchanged: dropout cannot be quantized");
  EXPECT_THAT(run.printed, HasSubstr("seq_blocks_1  relu          unchanged  no rule for relu"));
}

TEST(QuantizeTest, WritesTypeAndPrecisionIntoTheMetadata) {
  Graph graph = ParseGraph(kTiny);
  ASSERT_OK(RunPass("quantize", Rule("linear"), graph).status);
  const CommonMetadata& common = graph.FindNode("seq_blocks_2")->metadata().common();
  for (const char* name : {"data_in_0", "weight", "bias"}) {
    EXPECT_EQ(FindArgument(common, name)->type(), "integer") << name;
    EXPECT_THAT(FindArgument(common, name)->precision(), ElementsAre("8", "4")) << name;
  }
  EXPECT_EQ(FindResult(common, "data_out_0")->type(), "float");
  EXPECT_EQ(FindArgument(graph.FindNode("seq_blocks_1")->metadata().common(), "data_in_0")->type(),
            "float");
}

TEST(QuantizeTest, ASummaryFollowsByItself) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize_transform_pass", Rule("linear"), graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("Quantized graph histogram:\n"));
  EXPECT_EQ(run.artifacts.count("quantize/quantize_table.csv"), 1);
}

TEST(QuantizeTest, ByNameTakesOneNode) {
  Graph graph = ParseGraph(kTiny);
  ASSERT_OK(RunPass("quantize", By("NAME", Rule("seq_blocks_1")), graph).status);
  EXPECT_THAT(Operands(graph, "seq_blocks_2"), ElementsAre("none"));
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->Description(), "ReLUInteger(inplace=True)");
}

TEST(QuantizeTest, ByRegexTheFirstFullMatchWins) {
  Graph graph = ParseGraph(kTiny);
  const std::string rules = Rule("seq_blocks_[12]") +
                            Rule("seq_blocks_.", R"(name: "integer" data_in { width: 4 })") +
                            Rule("blocks", "");
  ASSERT_OK(RunPass("quantize", By("REGEX_NAME", rules) + " allow_unmatched: true", graph).status);
  EXPECT_THAT(Operands(graph, "seq_blocks_2")[0], HasSubstr("width: 8"));
  EXPECT_THAT(Operands(graph, "seq_blocks_0"), ElementsAre("data_in: integer { width: 4 }"));
}

TEST(QuantizeTest, TheDefaultCoversWhatNoRuleMatches) {
  Graph graph = ParseGraph(kTiny);
  const std::string options =
      absl::StrCat("default { config {", kEightFour, "} }", Rule("linear", "name: 'NA'"));
  const PassRun run = RunPass("quantize", options, graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("nodes_quantized"), 2);
  EXPECT_EQ(run.decision("seq_blocks_2"), "unchanged: rule 'linear' says none");
  EXPECT_THAT(Operands(graph, "seq_blocks_0"),
              ElementsAre(HasSubstr("data_in"), HasSubstr("weight"), HasSubstr("bias")));
}

TEST(QuantizeTest, TheReportSaysWhatADefaultTook) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run =
      RunPass("quantize", absl::StrCat("default { config {", kEightFour, "} }"), graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.decision("seq_blocks_0"),
              HasSubstr("quantized: by default: integer data_in 8/4"));
  EXPECT_THAT(run.printed, HasSubstr("The default took 1 x batch_norm1d, 1 x linear, 1 x relu.\n"));
}

TEST(QuantizeTest, InReferenceDefaultsAndRegexesTakeWhatMasesPassTakes) {
  Graph graph = ParseGraph(kTiny);
  PassRun run =
      RunPass("quantize",
              absl::StrCat("semantics: REFERENCE default { config {", kEightFour, "} }"), graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.decision("seq_blocks_0"), "unchanged: MASE's pass does not take batch_norm1d");
  EXPECT_THAT(Operands(graph, "seq_blocks_0"), ElementsAre("none"));
  EXPECT_EQ(run.count("nodes_quantized"), 2);
  graph = ParseGraph(kTiny);
  run =
      RunPass("quantize",
              By("REGEX_NAME", "semantics: REFERENCE" + Rule("seq_blocks_.*", kEightFour)), graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("nodes_quantized"), 2);
  // A rule that names the op means it.
  graph = ParseGraph(kTiny);
  run = RunPass("quantize", "semantics: REFERENCE" + Rule("batch_norm1d", kEightFour), graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("nodes_quantized"), 1);
}

TEST(QuantizeTest, TheStateOfMaseDecidesWhatItsPassTakes) {
  const std::string rule =
      "default { config { name: 'integer' data_in { width: 8 frac_width: 4 }"
      "weight { width: 8 frac_width: 4 } } }";
  Graph graph = ParseGraph(kFunctions);
  PassRun run = RunPass("quantize", "semantics: REFERENCE_2024 " + rule, graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.decision("selu"), "unchanged: MASE's pass of 2024 does not take selu");
  EXPECT_THAT(run.decision("relu"), HasSubstr("quantized"));
  // That of 2026 takes gelu, too, and fails.
  graph = ParseGraph(kFunctions);
  run = RunPass("quantize", "semantics: REFERENCE " + rule, graph);
  EXPECT_THAT(run.status, StatusIs(kInvalid, HasSubstr("MASE's gelu function cannot")));
}

TEST(QuantizeTest, ReluIntegersAreUnsignedUnlessToldOtherwise) {
  Graph graph = ParseGraph(kTiny);
  ASSERT_OK(RunPass("quantize", Rule("relu"), graph).status);
  EXPECT_THAT(Operands(graph, "seq_blocks_1"),
              ElementsAre("data_in: integer { width: 8 frac_width: 4 is_signed: false }"));
  ASSERT_OK(RunPass("quantize",
                    Rule("relu", R"(name: "fixed" data_in { width: 8 is_signed: true })"), graph)
                .status);
  EXPECT_THAT(Operands(graph, "seq_blocks_1"),
              ElementsAre("data_in: integer { width: 8 is_signed: true }"));
}

TEST(QuantizeTest, FunctionsAskForWhatMaseAsks) {
  Graph graph = ParseGraph(kFunctions);
  const std::string data_in = R"(name: "integer" data_in { width: 6 frac_width: 2 })";
  const std::string both = data_in + "weight { width: 4 frac_width: 1 }";
  const std::string rules =
      Rule("add", data_in) + Rule("bmm", both) + Rule("relu", data_in) + Rule("gelu", both);
  ASSERT_OK(RunPass("quantize", rules, graph).status);
  EXPECT_THAT(Operands(graph, "add"), ElementsAre("data_in: integer { width: 6 frac_width: 2 }"));
  EXPECT_THAT(Operands(graph, "bmm"), ElementsAre("data_in: integer { width: 6 frac_width: 2 }",
                                                  "weight: integer { width: 4 frac_width: 1 }"));
  EXPECT_THAT(Operands(graph, "gelu"), ElementsAre("data_in: integer { width: 6 frac_width: 2 }"));
  const CommonMetadata& add = graph.FindNode("add")->metadata().common();
  EXPECT_THAT(FindArgument(add, "data_in_1")->precision(), ElementsAre("6", "2"));
  const CommonMetadata& bmm = graph.FindNode("bmm")->metadata().common();
  EXPECT_THAT(FindArgument(bmm, "data_in_1")->precision(), ElementsAre("4", "1"));
}

TEST(QuantizeTest, ReferenceSemanticsGoWithEveryOperandAndKeepMasesUnsignedSelu) {
  Graph graph = ParseGraph(kFunctions);
  ASSERT_OK(RunPass("quantize",
                    "semantics: REFERENCE" +
                        Rule("selu", R"(name: "integer" data_in { width: 8 frac_width: 4 })"),
                    graph)
                .status);
  EXPECT_THAT(Operands(graph, "selu"),
              ElementsAre("data_in: semantics: REFERENCE integer { width: 8 frac_width: 4 "
                          "is_signed: false }"));
}

TEST(QuantizeTest, AGradientRuleGoesWithEveryOperand) {
  Graph graph = ParseGraph(kFunctions);
  ASSERT_OK(RunPass("quantize",
                    Rule("gelu", R"(name: "integer" gradient: CLAMP_AWARE data_in { width: 8 })"),
                    graph)
                .status);
  EXPECT_THAT(Operands(graph, "gelu"),
              ElementsAre("data_in: gradient: CLAMP_AWARE integer { width: 8 }"));
}

TEST(QuantizeTest, BypassedNodesTakeTheNameAlone) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize", Rule("linear", "name: 'integer' bypass: true"), graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(Operands(graph, "seq_blocks_2"), ElementsAre());
  EXPECT_EQ(graph.FindNode("seq_blocks_2")->TypeName(), "LinearInteger");
  EXPECT_EQ(run.decision("seq_blocks_2"), "quantized: integer, computes in float");
}

TEST(QuantizeTest, FloorAndDataOutReachTheRecord) {
  Graph graph = ParseGraph(kTiny);
  const std::string config =
      absl::StrCat(kEightFour, "floor: true data_out { width: 10 frac_width: 5 }");
  ASSERT_OK(RunPass("quantize", Rule("linear", config), graph).status);
  const std::vector<std::string> operands = Operands(graph, "seq_blocks_2");
  ASSERT_EQ(operands.size(), 4);
  EXPECT_EQ(operands[3], "data_out: rounding: FLOOR integer { width: 10 frac_width: 5 }");
  EXPECT_THAT(
      FindResult(graph.FindNode("seq_blocks_2")->metadata().common(), "data_out_0")->precision(),
      ElementsAre("10", "5"));
}

TEST(QuantizeTest, QuantizingAgainTheSameWayChangesNothing) {
  Graph graph = ParseGraph(kTiny);
  ASSERT_OK(RunPass("quantize", Rule("linear"), graph).status);
  EXPECT_THAT(RunPass("quantize", Rule("linear"), graph).status,
              StatusIs(kInvalid, HasSubstr("quantize: 0 nodes changed")));
  PassConfig allowed = MakePass("quantize", Rule("linear"));
  allowed.set_allow_unchanged(true);
  EXPECT_OK(RunPasses({allowed}, graph).status);
}

struct BadOptions {
  std::string options;
  absl::StatusCode code;
  std::string message;
};

TEST(QuantizeTest, BadRulesAreNamedAndLeaveTheGraphAlone) {
  const std::vector<BadOptions> cases = {
      {By("9", Rule("linear")), kInvalid, "quantize: by: 9 is none of TYPE, NAME, REGEX_NAME"},
      {Rule("linear", "name: 'integer' gradient: 9"), kInvalid,
       "rules.config.gradient: 9 is none of STRAIGHT_THROUGH, CLAMP_AWARE"},
      {Rule("linear", "name: 'lsq' gradient: CLAMP_AWARE data_in { level: 256 }"), kInvalid,
       "there is no CLAMP_AWARE rule"},
      {Rule("linaer"), absl::StatusCode::kNotFound, "'linear'"},
      {Rule("dropout"), kInvalid,
       "dropout: this op cannot be quantized; those that can are adaptive_avg_pool1d,"},
      {Rule("conv2d"), kInvalid,
       "rule 'conv2d' matches no node; the graph has batch_norm1d, relu, linear, dropout"},
      {By("NAME", Rule("seq_block_2")), kInvalid, "did you mean 'seq_blocks_2'?"},
      {By("NAME", Rule("seq_blocks_3")), kInvalid, "'seq_blocks_3' matches only nodes that cannot"},
      {By("REGEX_NAME", Rule("seq_(")), kInvalid, "seq_(: not a regular expression"},
      {By("REGEX_NAME", Rule("seq")), kInvalid, "rule 'seq' matches no node"},
      {Rule("linear", "name: 'integr'"), absl::StatusCode::kNotFound, "did you mean 'integer'?"},
      {Rule("linear", "name: 'integer'"), kInvalid, "linear: integer needs data_in_width"},
      {Rule("linear", "name: 'integer' data_in { width: 8 }"), kInvalid,
       "integer needs weight_width"},
      {Rule("linear", "name: 'integer' data_in { width: 8 } weight { width: 8 }"), kInvalid,
       "quantize: seq_blocks_2 (linear): integer needs bias_width"},
      {Rule("linear", "name: 'integer' data_in { width: 8 exponent_width: 4 }"), kInvalid,
       "data_in_exponent_width"},
      {Rule("linear", "name: 'integer' data_in { width: 33 } weight { width: 8 }"), kInvalid, "33"},
      {"default { config { name: 'integer' data_in { width: 0 } } }", kInvalid, "default: "},
      {"", kInvalid,
       "0 nodes changed; 1 x dropout cannot be quantized; 1 x no rule for batch_norm1d"},
  };
  for (const BadOptions& bad : cases) {
    Graph graph = ParseGraph(kTiny);
    EXPECT_THAT(RunPass("quantize", bad.options, graph).status,
                StatusIs(bad.code, HasSubstr(bad.message)))
        << bad.options;
    EXPECT_EQ(graph.FindNode("seq_blocks_2")->quantization(), nullptr);
  }
}

TEST(QuantizeTest, AllWrongRulesAreReportedEachWithItsCause) {
  Graph graph = ParseGraph(kTiny);
  EXPECT_THAT(RunPass("quantize", By("NAME", Rule("seq_block_2") + Rule("fc1")), graph).status,
              StatusIs(kInvalid, AllOf(HasSubstr("rule 'seq_block_2' matches no node; did you mean "
                                                 "'seq_blocks_2'? (allow_unmatched"),
                                       HasSubstr("\nrule 'fc1' matches no node; the graph has "
                                                 "seq_blocks_0, "))));
  EXPECT_THAT(
      RunPass("quantize", Rule("linaer") + Rule("linear", "name: 'integr'"), graph).status,
      StatusIs(absl::StatusCode::kNotFound, AllOf(HasSubstr("linaer"), HasSubstr("\nlinear: "))));
}

TEST(QuantizeTest, ARuleWhoseNodesAnEarlierOneTookSaysSo) {
  Graph graph = ParseGraph(kTiny);
  EXPECT_THAT(
      RunPass("quantize", By("REGEX_NAME", Rule("seq_.*") + Rule("seq_blocks_2")), graph).status,
      StatusIs(kInvalid, HasSubstr("rule 'seq_blocks_2' takes no node: seq_blocks_2 goes to "
                                   "'seq_.*', which stands before it (allow_unmatched")));
}

TEST(QuantizeTest, AFormatIsOneText) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize", Rule("linear", "format: 'integer 8'"), graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed, HasSubstr("integer data_in 8/4, weight 8/4, bias 8/4"));
  EXPECT_EQ(graph.FindNode("seq_blocks_2")->quantization()->class_suffix(), "Integer");

  Graph mixed = ParseGraph(kTiny);
  const PassRun binary = RunPass(
      "quantize", Rule("linear", "format: 'integer 6/3' weight { name: 'log' width: 5 }"), mixed);
  ASSERT_OK(binary.status);
  EXPECT_THAT(binary.printed, HasSubstr("integer data_in 6/3, weight 5/7, bias 6/3"));

  const std::pair<const char*, const char*> wrong[] = {
      {"format: 'intger 8'", "linear: unknown format 'intger'; did you mean 'integer'?"},
      {"format: 'integer 0'", "linear: integer: width 0, allowed 1 to 32"},
      {"format: 'integer 8' name: 'log'", "give one of them"},
      {"format: 'integer 8' weight { width: 4 }", "weight has keys"}};
  for (const auto& [config, message] : wrong) {
    EXPECT_THAT(std::string(RunPass("quantize", Rule("linear", config), graph).status.message()),
                HasSubstr(message));
  }
}

TEST(QuantizeTest, AllowUnmatchedServesSeveralNetsWithOneSetOfRules) {
  Graph graph = ParseGraph(kTiny);
  EXPECT_OK(
      RunPass("quantize", "allow_unmatched: true" + Rule("conv2d") + Rule("linear"), graph).status);
}

TEST(QuantizeTest, NamedNodesStayFloatWhateverTheRulesSay) {
  Graph graph = ParseGraph(kTiny);
  const std::string all = absl::StrCat("default { config {", kEightFour, "} }");
  ASSERT_OK(RunPass("quantize", all, graph).status);
  ASSERT_NE(graph.FindNode("seq_blocks_1")->quantization(), nullptr);
  const PassRun run = RunPass("quantize", all + " keep_float: 'seq_blocks_1'", graph);
  ASSERT_OK(run.status);
  EXPECT_TRUE(run.changed());
  EXPECT_EQ(graph.FindNode("seq_blocks_1")->quantization(), nullptr);
  EXPECT_NE(graph.FindNode("seq_blocks_2")->quantization(), nullptr);
  EXPECT_EQ(run.decision("seq_blocks_1"), "unchanged: keep_float names it");
  EXPECT_THAT(RunPass("quantize", all + " keep_float: 'seq_blocks_11'", graph).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("keep_float: ")));
}

TEST(QuantizeTest, ABaselineIsWarnedAbout) {
  Graph graph = ParseGraph(kTiny);
  const PassRun run = RunPass("quantize", "baseline_weight_path: 'a.mz'" + Rule("linear"), graph);
  ASSERT_OK(run.status);
  ASSERT_EQ(run.report.warnings_size(), 1);
  EXPECT_THAT(run.report.warnings(0), HasSubstr("baseline_weight_path is not read"));
}

}  // namespace
}  // namespace mase
