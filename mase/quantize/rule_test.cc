// Which operands get which format: a row per rule of MASE's tables, through a config as users write
// it.
#include "mase/quantize/rule.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

// One node of each kind that the rules know.
constexpr char kNodes[] = R"(
x = placeholder() : f32[2, 3, 4, 4]
conv = conv2d(x, in_channels=3, kernel_size=(1, 1), out_channels=3)
norm = batch_norm2d(conv, num_features=3)
relu = relu(norm)
relu_1 = function relu(relu)
tanh = tanh(relu_1)
add = add(tanh, x)
matmul = matmul(add, x)
linear = linear(matmul, in_features=4, out_features=2)
output = output(linear)
)";

absl::StatusOr<Quantization> Record(absl::string_view node, const std::string& config,
                                    FormatProto::Semantics semantics) {
  const Graph graph = ParseGraph(kNodes);
  QuantizeConfig message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(config, &message)) << config;
  const absl::StatusOr<RuleFormat> rule = CheckConfig(message, semantics);
  if (!rule.ok()) return rule.status();
  return QuantizationFor(*graph.FindNode(node), *rule, ValueOrDie(InferShapesFor(graph)));
}

// "data_in: integer { width: 8 }, weight: ..." with the semantics left out.
std::string Operands(absl::string_view node, const std::string& config,
                     FormatProto::Semantics semantics = FormatProto::EXACT) {
  const Quantization record = ValueOrDie(Record(node, config, semantics));
  return absl::StrJoin(record.operand(), ", ", [&](std::string* out, OperandFormat operand) {
    EXPECT_EQ(operand.format().semantics(), semantics);
    operand.mutable_format()->clear_semantics();
    absl::StrAppend(out, operand.operand(), ": ", operand.format().ShortDebugString());
  });
}

std::string Reference(absl::string_view node, const std::string& config) {
  return Operands(node, config, FormatProto::REFERENCE);
}

TEST(RuleTest, OneAndTwoBitLayersRoundTheirWeightAlone) {
  const std::string binary =
      "name: 'binary' data_in { stochastic: false bipolar: true }"
      "weight { stochastic: false bipolar: true }";
  EXPECT_EQ(Operands("linear", binary), "weight: binary { bipolar: true }");
  EXPECT_EQ(Operands("conv", binary), "weight: binary { bipolar: true }");
  EXPECT_EQ(Operands("relu", binary), "");
  EXPECT_EQ(Operands("norm", binary), "");
  EXPECT_EQ(Operands("relu_1", binary), "data_in: binary { bipolar: true }");
}

TEST(RuleTest, FormatsWithTheirOwnIdeaOfOperands) {
  EXPECT_EQ(Operands("linear", "name: 'flexround' data_in { width: 6 } weight { s1_init: 0.25 }"),
            "weight: flexround { s1_init: 0.25 }, "
            "data_out: flexround { width: 6 frac_width: 4 output: true }");
  EXPECT_EQ(Operands("linear", "name: 'logicnets' data_in { width: 3 } data_out { width: 4 }"),
            "data_in: logicnets { width: 3 }, data_out: logicnets { width: 4 }");
  EXPECT_THAT(Record("linear", "name: 'logicnets' data_in { width: 3 }", FormatProto::EXACT),
              StatusIs(kInvalid, "logicnets needs data_out_width"));
  EXPECT_EQ(Operands("conv",
                     "name: 'binary_residual' data_in { levels: 3 }"
                     "weight { stochastic: false bipolar: true }"),
            "data_in: binary_residual { levels: 3 }, weight: binary { bipolar: true }");
}

TEST(RuleTest, OperandsOfOneNodeMayHaveFormatsOfDifferentNames) {
  EXPECT_EQ(Operands("linear",
                     "name: 'integer' data_in { width: 8 frac_width: 4 }"
                     "weight { name: 'ternary' scaling_factor: true }"
                     "bias { name: 'minifloat_ieee' width: 8 exponent_width: 4 }"),
            "data_in: integer { width: 8 frac_width: 4 }, weight: ternary { scaling_factor: true },"
            " bias: minifloat_ieee { width: 8 exponent_width: 4 }");
}

TEST(RuleTest, AnOperandNamedNaStaysFloat) {
  EXPECT_EQ(
      Operands("linear",
               "name: 'integer' data_in { width: 8 } weight { width: 6 } bias { name: 'NA' }"),
      "data_in: integer { width: 8 }, weight: integer { width: 6 }");
  EXPECT_EQ(
      Operands("linear",
               "name: 'integer' data_in { name: 'NA' } weight { name: 'NA' } bias { width: 4 }"),
      "bias: integer { width: 4 }");
  EXPECT_EQ(Operands("matmul", "name: 'integer' data_in { width: 8 } weight { name: 'NA' }"),
            "data_in: integer { width: 8 }");
  EXPECT_EQ(Operands("relu", "name: 'integer' data_in { name: 'NA' }"), "");
  EXPECT_THAT(Record("linear", "name: 'integer' data_in { width: 8 } weight { width: 6 }",
                     FormatProto::EXACT),
              StatusIs(kInvalid, "integer needs bias_width"));
}

TEST(RuleTest, MicroscalingLayersRoundTheirWeightAndWhatElseIsGiven) {
  for (const auto semantics : {FormatProto::EXACT, FormatProto::REFERENCE}) {
    EXPECT_EQ(Operands("linear",
                       "name: 'mxint' data_in { width: 8 block_size: 2 }"
                       "weight { width: 6 block_size: 4 }",
                       semantics),
              "data_in: mxint { block_size: 2 element_bits: 8 }, "
              "weight: mxint { block_size: 4 element_bits: 6 }");
    EXPECT_EQ(Operands("linear",
                       "name: 'mxfp' weight { block_size: 4 exponent_width: 4 frac_width: 3 }"
                       "bias { block_size: 2 exponent_width: 4 frac_width: 3 }",
                       semantics),
              "weight: mxfp { block_size: 4 element_exp_bits: 4 element_frac_bits: 3 }, "
              "bias: mxfp { block_size: 2 element_exp_bits: 4 element_frac_bits: 3 }");
    EXPECT_THAT(Record("linear", "name: 'mxint' data_in { width: 8 block_size: 2 }", semantics),
                StatusIs(kInvalid, HasSubstr("mxint needs weight_block_size")));
  }
}

TEST(RuleTest, ReferenceTakesTheParametersThatMaseTakes) {
  const std::string minifloat =
      "name: 'minifloat_ieee' data_in { width: 5 exponent_width: 4 }"
      "weight { width: 5 exponent_width: 4 }";
  EXPECT_EQ(Reference("relu", minifloat), "data_in: minifloat_ieee { width: 5 exponent_width: 4 }");
  EXPECT_THAT(Record("relu", minifloat, FormatProto::EXACT),
              StatusIs(kInvalid, HasSubstr("minifloat_ieee: width 5, allowed 6 to 28")));
}

TEST(RuleTest, RanksThatMaseRefusesAreRefusedWithTheRecord) {
  EXPECT_THAT(Record("linear",
                     "name: 'block_fp' data_in { width: 8 exponent_width: 8 block_size: 4 }"
                     "weight { width: 8 exponent_width: 8 block_size: 4 }"
                     "bias { width: 8 exponent_width: 8 block_size: 4 }",
                     FormatProto::REFERENCE),
              StatusIs(kInvalid, HasSubstr("data_in: block_fp with REFERENCE semantics: a tensor "
                                           "of shape [2, 3, 4, 4]")));
}

TEST(RuleTest, OpsDecideAboutSignsAndBlocks) {
  const std::string integer = "name: 'integer' data_in { width: 8 } weight { width: 8 }";
  EXPECT_EQ(Operands("relu", integer), "data_in: integer { width: 8 is_signed: false }");
  EXPECT_EQ(Operands("tanh", integer), "data_in: integer { width: 8 }");
  EXPECT_EQ(Operands("matmul",
                     "name: 'mxint' data_in { width: 8 block_size: 4 }"
                     "weight { width: 8 block_size: 4 }"),
            "data_in: mxint { block_size: 4 element_bits: 8 }, "
            "weight: mxint { block_size: 4 element_bits: 8 block_dim: -2 }");
  const std::string block_log =
      "name: 'block_log' data_in { width: 4 exponent_bias_width: 8 block_size: 4 }"
      "weight { width: 4 exponent_bias_width: 8 block_size: 4 }";
  EXPECT_EQ(Operands("add", block_log),
            "data_in: block_log { width: 4 exponent_bias_width: 8 block_size: 4 "
            "skip_first_dim: true }");
}

TEST(RuleTest, ReferenceFollowsMaseWhereItIsOdd) {
  const std::string log = "width: 4 exponent_bias_width: 8 block_size: ";
  const std::string block_log = absl::StrCat("name: 'block_log' data_in { ", log, "4 } weight { ",
                                             log, "2 } bias { ", log, "3 }");
  // The second input is forgotten; convolutions have the bias's blocks.
  EXPECT_THAT(Reference("matmul", block_log), Not(HasSubstr("weight")));
  EXPECT_THAT(Operands("matmul", block_log), HasSubstr("weight"));
  EXPECT_THAT(Reference("conv", block_log), Not(HasSubstr("block_size: 4")));
  EXPECT_EQ(Reference("norm", "name: 'integer' data_in { width: 8 } weight { width: 8 }"),
            "data_in: integer { width: 8 }");
}

TEST(RuleTest, ReferenceRefusesWhatMaseLacksAndSaysWhatItHas) {
  const std::string log = "name: 'log' data_in { width: 8 } weight { width: 8 }";
  const std::pair<const char*, const char*> cases[] = {
      {"tanh", "MASE's tanh module cannot be quantized; those that can are add, sub, mul, matmul"},
      {"norm", "MASE's batch_norm2d module cannot be quantized in log, only in integer, binary"},
      {"add", "MASE's add function cannot be quantized in log, only in integer, minifloat_ieee"}};
  for (const auto& [node, message] : cases) {
    EXPECT_OK(Record(node, log, FormatProto::EXACT));
    EXPECT_THAT(Record(node, log, FormatProto::REFERENCE),
                StatusIs(kInvalid, HasSubstr(absl::StrCat("REFERENCE semantics: ", message))));
  }
}

TEST(RuleTest, AUniformRuleGivesEveryOperandTheFormat) {
  FormatProto format;
  format.mutable_integer()->set_width(5);
  const Graph graph = ParseGraph(kNodes);
  const Quantization record =
      ValueOrDie(QuantizationFor(*graph.FindNode("linear"), ValueOrDie(UniformRule(format)),
                                 ValueOrDie(InferShapesFor(graph))));
  ASSERT_EQ(record.operand_size(), 3);
  EXPECT_EQ(record.format(), "integer");
  EXPECT_EQ(record.operand(2).operand(), "bias");
  format.mutable_integer()->set_width(0);
  EXPECT_THAT(UniformRule(format), StatusIs(kInvalid, "integer: width 0, allowed 1 to 32"));
}

// MASE's blocks go on from one row to the next, and have to end with the tensor.
TEST(RuleTest, ABlockThatDoesNotDivideAWeightIsRefusedWithTheRecord) {
  const std::string config = "name: 'mxint' weight { width: 8 block_size: 3 }";
  EXPECT_THAT(Record("linear", config, FormatProto::REFERENCE),
              StatusIs(kInvalid, HasSubstr("weight: mxint")));
  EXPECT_THAT(Record("linear", config, FormatProto::REFERENCE).status().message(),
              HasSubstr("3 does not divide the 8"));
  EXPECT_OK(Record("linear", config, FormatProto::EXACT));
}

}  // namespace
}  // namespace mase
