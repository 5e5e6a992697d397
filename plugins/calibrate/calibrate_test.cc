#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/test_net.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

// Rounds everything; the fraction widths are far off for values below 1.
constexpr char kLinear[] = R"pb(
  rules {
    match: "linear"
    config {
      name: "integer"
      data_in { width: 8 frac_width: 2 }
      weight { width: 8 frac_width: 2 }
      bias { width: 8 frac_width: 2 }
    }
  }
)pb";

// x -> linear -> relu -> linear_1
Graph TwoLayers() {
  TestNet net({64, 8});
  Value* x = net.Module("linear", {net.input()},
                        {{"in_features", int64_t{8}}, {"out_features", int64_t{6}}});
  x = net.Module("relu", {x});
  x = net.Module("linear", {x}, {{"in_features", int64_t{6}}, {"out_features", int64_t{3}}});
  return net.Finish({x});
}

class CalibrateTest : public testing::Test {
 protected:
  CalibrateTest() {
    host_.samples["x"] = Tensor::FromValues<float>({64, 8}, RandomValues(64 * 8, 5));
  }

  PassRun Calibrate(Graph& graph, absl::string_view options, absl::string_view quantize = kLinear) {
    return RunPasses({MakePass("quantize", quantize), MakePass("calibrate", options)}, graph,
                     host_);
  }

  TestHost host_;
};

FormatProto FormatOf(const Graph& graph, absl::string_view node, absl::string_view operand) {
  const Quantization* record = graph.FindNode(node)->quantization();
  if (record == nullptr) return FormatProto();
  for (const OperandFormat& entry : record->operand()) {
    if (entry.operand() == operand) return entry.format();
  }
  return FormatProto();
}

int FracWidth(const Graph& graph, absl::string_view node, absl::string_view operand) {
  return FormatOf(graph, node, operand).integer().frac_width();
}

TEST_F(CalibrateTest, EndsBetweenBatchesWhereTheUserWantsItTo) {
  Graph graph = TwoLayers();
  host_.interrupt_at = 2;
  const PassRun run = Calibrate(graph, "batches: 4");
  EXPECT_THAT(run.status, StatusIs(absl::StatusCode::kCancelled, "calibrate: interrupted"));
  EXPECT_THAT(host_.progress, testing::ElementsAre(16, 32));
}

TEST_F(CalibrateTest, MinMaxFitsTheFractionToTheRange) {
  Graph graph = TwoLayers();
  const PassRun run = Calibrate(graph, "method: MINMAX");
  ASSERT_OK(run.status);
  EXPECT_TRUE(run.changed());
  EXPECT_EQ(run.count("operands_calibrated"), 6);
  // Inputs lie in [-1, 1), the first weights within 1 / sqrt(8) = 0.354, the second within 0.408.
  EXPECT_EQ(FracWidth(graph, "linear", "data_in"), 6);
  EXPECT_EQ(FracWidth(graph, "linear", "weight"), 8);
  EXPECT_EQ(FracWidth(graph, "linear_1", "weight"), 8);
  EXPECT_EQ(FormatOf(graph, "linear", "weight").integer().width(), 8);
  EXPECT_THAT(run.decision("linear"),
              HasSubstr("calibrated: data_in integer 8/6, weight integer 8/8"));
  EXPECT_EQ(graph.FindNode("linear")->TypeName(), "LinearInteger");
}

TEST_F(CalibrateTest, EveryMethodBringsTheNetNearerToTheFloatNet) {
  for (const char* method :
       {"minmax", "moving_average", "percentile", "mse", "entropy", "compare"}) {
    for (const char* more : {"", " scale: FLOAT", " symmetric: false", " granularity: CHANNEL",
                             " granularity: GROUP group_size: 3 scale: FLOAT symmetric: false"}) {
      Graph graph = TwoLayers();
      const PassRun run =
          Calibrate(graph, absl::StrCat("method: ", absl::AsciiStrToUpper(method), more));
      ASSERT_OK(run.status) << method << more;
      const std::vector<std::string> lines =
          absl::StrSplit(run.artifacts.at("calibrate/comparison.csv"), '\n', absl::SkipEmpty());
      ASSERT_EQ(lines.size(), method == std::string("compare") ? 7u : 3u);
      double given = 0;
      for (const std::string& line : lines) {
        const std::vector<std::string> cells = absl::StrSplit(line, ',');
        if (cells[0] == "as given") given = std::stod(cells[2]);
        if (cells[4] != "true") continue;
        EXPECT_GT(std::stod(cells[2]), given + 6) << method << more;
      }
    }
  }
}

TEST_F(CalibrateTest, CompareKeepsTheBestAndPrintsAllFigures) {
  Graph graph = TwoLayers();
  host_.evaluation = Evaluation{.loss = 1, .accuracy = 0.5f, .correct = 1, .samples = 2};
  const PassRun run = Calibrate(graph, "method: COMPARE");
  ASSERT_OK(run.status);
  EXPECT_THAT(run.printed,
              AllOf(HasSubstr("Calibration on 64 test rows"), HasSubstr("as given"),
                    HasSubstr("moving_average"), HasSubstr("entropy"), HasSubstr("0.500000")));
  const std::vector<std::string> lines =
      absl::StrSplit(run.artifacts.at("calibrate/comparison.csv"), '\n', absl::SkipEmpty());
  EXPECT_EQ(lines[0], "calibration,operand_sqnr,output_sqnr,accuracy,kept");
  double best = -1e9, kept = 0;
  for (size_t i = 2; i < lines.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
    best = std::max(best, std::stod(cells[2]));
    if (cells[4] == "true") kept = std::stod(cells[2]);
  }
  EXPECT_EQ(kept, best);
  EXPECT_THAT(run.artifacts.at("calibrate/operands.csv"), HasSubstr("linear_1,linear,weight,"));
}

TEST_F(CalibrateTest, ChannelsAndGroupsOfWeightsGetScalesOfTheirOwn) {
  Graph graph = TwoLayers();
  ASSERT_OK(Calibrate(graph, "granularity: CHANNEL").status);
  const AffineFormat channels = FormatOf(graph, "linear", "weight").affine();
  EXPECT_EQ(channels.scale_size(), 6);
  EXPECT_THAT(channels.block_size(), ElementsAre(1, -1));
  EXPECT_EQ(channels.zero_point_size(), 0);
  for (float scale : channels.scale()) EXPECT_EQ(std::exp2(std::round(std::log2(scale))), scale);
  EXPECT_TRUE(FormatOf(graph, "linear", "bias").has_integer());
  EXPECT_TRUE(FormatOf(graph, "linear", "data_in").has_integer());

  Graph grouped = TwoLayers();
  ASSERT_OK(Calibrate(grouped, "granularity: GROUP group_size: 3 scale: FLOAT").status);
  const AffineFormat groups = FormatOf(grouped, "linear", "weight").affine();
  EXPECT_EQ(groups.scale_size(), 6 * 3);  // 8 inputs: 3, 3, 2.
  EXPECT_THAT(groups.block_size(), ElementsAre(1, 3));
}

TEST_F(CalibrateTest, AConvolutionsChannelsAndGroupsSpanItsWindow) {
  for (const char* granularity : {"channel", "group"}) {
    TestNet net({64, 4, 5, 5});
    Graph graph = net.Finish({net.Module("conv2d", {net.input()},
                                         {{"in_channels", int64_t{4}},
                                          {"out_channels", int64_t{3}},
                                          {"kernel_size", std::vector<int64_t>{3, 3}}})});
    host_.samples["x"] = Tensor::FromValues<float>({64, 4, 5, 5}, RandomValues(64 * 100, 5));
    ASSERT_OK(
        Calibrate(graph,
                  absl::StrCat("group_size: 2 granularity: ", absl::AsciiStrToUpper(granularity)),
                  absl::StrReplaceAll(kLinear, {{"linear", "conv2d"}}))
            .status);
    const AffineFormat weight = FormatOf(graph, "conv2d", "weight").affine();
    EXPECT_EQ(weight.scale_size(), granularity == std::string("group") ? 6 : 3);
  }
}

TEST_F(CalibrateTest, ZeroPointsServeLopsidedActivations) {
  Graph graph = TwoLayers();
  ASSERT_OK(Calibrate(graph, "method: MINMAX scale: FLOAT symmetric: false").status);
  // After the relu nothing is below 0, so that the lowest code is 0.
  const AffineFormat data = FormatOf(graph, "linear_1", "data_in").affine();
  EXPECT_THAT(data.zero_point(), ElementsAre(-128));
}

TEST_F(CalibrateTest, OtherFamiliesGetTheirExponentBias) {
  for (const char* config :
       {"name: 'minifloat_ieee' data_in { width: 8 exponent_width: 3 exponent_bias: 20 } "
        "weight { width: 8 exponent_width: 3 exponent_bias: 20 } "
        "bias { width: 8 exponent_width: 3 exponent_bias: 20 }",
        "name: 'log' data_in { width: 6 exponent_bias: 40 } weight { width: 6 exponent_bias: 40 } "
        "bias { width: 6 exponent_bias: 40 }"}) {
    Graph graph = TwoLayers();
    const PassRun run =
        Calibrate(graph, "", absl::StrCat("rules { match: 'linear' config {", config, "} }"));
    ASSERT_OK(run.status);
    EXPECT_THAT(run.artifacts.at("calibrate/operands.csv"), Not(HasSubstr(",left,")));
    EXPECT_THAT(
        FormatOf(graph, "linear", "weight").ShortDebugString(),
        AllOf(HasSubstr("exponent_bias"), Not(HasSubstr("bias: 20")), Not(HasSubstr("bias: 40"))));
  }
}

TEST_F(CalibrateTest, FormatsWithoutSuchAParameterStayAndAreSaid) {
  Graph graph = TwoLayers();
  const PassRun run = Calibrate(graph, "",
                                "rules { match: 'linear' config { name: 'scale_integer' "
                                "data_in { width: 8 } weight { width: 8 } bias { width: 8 } } }");
  EXPECT_THAT(run.status,
              StatusIs(kInvalid, HasSubstr("scale_integer has no parameter to calibrate")));
}

TEST_F(CalibrateTest, AllOperandsOfAllKindsOfNodes) {
  TestNet net({64, 4, 4});
  Value* x = net.Function("add", {net.input(), net.input()});
  x = net.Function("bmm", {x, net.input()});
  x = net.Module("relu", {x});
  x = net.Function("matmul", {x, net.input()});
  Graph graph =
      net.Finish({net.Module("layer_norm", {x}, {{"normalized_shape", std::vector<int64_t>{4}}})});
  host_.samples["x"] = Tensor::FromValues<float>({64, 4, 4}, RandomValues(64 * 16, 5));
  const std::string config =
      " config { name: 'integer' data_in { width: 8 frac_width: 1 } weight { width: 8 frac_width: "
      "1 }"
      " bias { width: 8 frac_width: 1 } } }";
  std::string rules;
  for (const char* op : {"add", "bmm", "relu", "matmul", "layer_norm"}) {
    absl::StrAppend(&rules, " rules { match: '", op, "'", config);
  }
  const PassRun run = Calibrate(graph, "method: MINMAX", rules);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("operands_calibrated"), 9);
  EXPECT_EQ(FracWidth(graph, "add", "data_in"), 6);
  EXPECT_EQ(FracWidth(graph, "bmm", "weight"), 6);  // The second input.
  EXPECT_FALSE(FormatOf(graph, "relu", "data_in").integer().is_signed());
}

TEST_F(CalibrateTest, ACalibratedNetRunsTrainsAndCanBeCalibratedAgain) {
  Graph graph = TwoLayers();
  ASSERT_OK(
      Calibrate(graph, "granularity: GROUP group_size: 4 scale: FLOAT symmetric: false").status);
  auto executor = ValueOrDie(Executor::Create(graph));
  const float* x = host_.samples["x"].data<float>().data();
  ASSERT_OK(executor->Forward(ExecutionMode::kTraining, 64, {x}));
  const std::vector<float> ones(64 * 3, 1.0f);
  ASSERT_OK(executor->Backward({ones.data()}));
  // Straight through: the last layer's bias has the gradient of a sum over the rows.
  EXPECT_EQ(executor->gradients()[executor->parameter_slots().back().offset], 64);

  const PassRun again = RunPasses({MakePass("calibrate", "method: MINMAX")}, graph, host_);
  ASSERT_OK(again.status);
  EXPECT_EQ(FormatOf(graph, "linear", "weight").integer().frac_width(), 8);
}

TEST_F(CalibrateTest, WithoutRecordsThereIsNothingToCalibrate) {
  Graph graph = TwoLayers();
  const PassRun run = RunPasses({MakePass("calibrate")}, graph, host_);
  EXPECT_THAT(run.status, StatusIs(kInvalid, HasSubstr("run quantize before calibrate")));
}

TEST_F(CalibrateTest, BadOptionsAreFoundBeforeAnythingRuns) {
  const struct {
    const char* options;
    const char* message;
  } kRows[] = {
      {"method: 9",
       "method: 9 is none of MSE, MINMAX, MOVING_AVERAGE, PERCENTILE, ENTROPY, COMPARE"},
      {"percentile: 101", "percentile: 101 is out of range, want above 0 and at most 100"},
      {"percentile: 0", "percentile: 0 is out of range"},
      {"percentile: nan", "percentile: nan is out of range"},
      {"momentum: 2", "momentum: 2 is out of range, want above 0 and at most 1"},
      {"momentum: 0", "momentum: 0 is out of range"},
      {"group_size: 0", "group_size: 0 is out of range, want at least 1"},
      {"rows: 0", "rows: 0 is out of range, want at least 1"},
      {"batches: 0", "batches: 0 is out of range, want at least 1"},
  };
  for (const auto& row : kRows) {
    Graph graph = TwoLayers();
    EXPECT_THAT(Calibrate(graph, row.options).status, StatusIs(kInvalid, HasSubstr(row.message)));
    EXPECT_EQ(graph.FindNode("linear")->quantization(), nullptr) << row.options;
  }
}

TEST_F(CalibrateTest, TheLimitsOfOptionsAreAllowed) {
  for (const char* options :
       {"percentile: 100 method: PERCENTILE", "momentum: 1 method: MOVING_AVERAGE",
        "percentile: 1e-9 method: PERCENTILE", "rows: 1", "batches: 1", "batches: 1000",
        "granularity: GROUP group_size: 1", "granularity: GROUP group_size: 1000000"}) {
    Graph graph = TwoLayers();
    EXPECT_OK(Calibrate(graph, options).status) << options;
  }
}

// ---- on_missing ----

Graph WithZeroBias() {
  Graph graph = TwoLayers();
  const std::string tensor = *graph.FindNode("linear")->FindParameter("bias");
  graph.SetTensor(tensor, Tensor::Zeros(DType::kFloat32, {6}), false);
  return graph;
}

TEST_F(CalibrateTest, AnOperandOfZerosIsAnErrorThatNamesIt) {
  Graph graph = WithZeroBias();
  EXPECT_THAT(Calibrate(graph, "").status,
              StatusIs(kInvalid, HasSubstr("linear (linear): bias: calibration saw only zeros")));
}

TEST_F(CalibrateTest, AnOperandOfZerosMayStayFloat) {
  Graph graph = WithZeroBias();
  const PassRun run = Calibrate(graph, "on_missing: FLOAT");
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("operands_float"), 1);
  EXPECT_FALSE(FormatOf(graph, "linear", "bias").has_integer());
  EXPECT_TRUE(FormatOf(graph, "linear", "weight").has_integer());
  EXPECT_THAT(run.decision("linear"), HasSubstr("bias float"));
}

TEST_F(CalibrateTest, AnOperandOfZerosMayBeEstimated) {
  Graph graph = WithZeroBias();
  const PassRun run = Calibrate(graph, "on_missing: ESTIMATE");
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("operands_estimated"), 1);
  EXPECT_EQ(FracWidth(graph, "linear", "bias"), 8);  // +-1 / sqrt(8).
}

TEST_F(CalibrateTest, WithoutDataActivationsAreMissing) {
  host_.samples.clear();
  Graph graph = TwoLayers();
  EXPECT_THAT(Calibrate(graph, "").status,
              StatusIs(kInvalid, HasSubstr("linear (linear): data_in: calibration saw nothing")));
  graph = TwoLayers();
  ASSERT_OK(Calibrate(graph, "on_missing: FLOAT method: COMPARE").status);
  EXPECT_FALSE(FormatOf(graph, "linear", "data_in").has_integer());
  EXPECT_TRUE(FormatOf(graph, "linear", "weight").has_integer());
  graph = TwoLayers();
  ASSERT_OK(Calibrate(graph, "on_missing: ESTIMATE").status);
  EXPECT_EQ(FracWidth(graph, "linear", "data_in"), 4);  // +-4
}

TEST_F(CalibrateTest, ANodeWithoutAnyFormatLeftIsFloatAgain) {
  host_.samples.clear();
  TestNet net({64, 8});
  Graph graph = net.Finish({net.Module("relu", {net.input()})});
  ASSERT_OK(Calibrate(graph, "on_missing: FLOAT",
                      "rules { match: 'relu' config { name: 'integer' data_in { width: 8 } } }")
                .status);
  EXPECT_EQ(graph.FindNode("relu")->quantization(), nullptr);
}

TEST_F(CalibrateTest, WhatIsNotFiniteIsAnErrorThatNamesTheNode) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Graph graph = TwoLayers();
    host_.samples["x"].mutable_data<float>()[9 * 8] = bad;
    EXPECT_THAT(
        Calibrate(graph, "on_missing: FLOAT").status,
        StatusIs(absl::StatusCode::kOutOfRange,
                 AllOf(HasSubstr("linear (linear): data_in: value 72 is "), HasSubstr("finite"))));
  }
}

TEST_F(CalibrateTest, AWeightThatIsNotFiniteIsNamed) {
  Graph graph = TwoLayers();
  graph.MutableTensor(*graph.FindNode("linear_1")->FindParameter("weight"))
      ->mutable_data<float>()[2] = NAN;
  EXPECT_THAT(
      Calibrate(graph, "").status,
      StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("linear_1 (linear): weight: value 2")));
}

TEST_F(CalibrateTest, ReferenceIntegersStayReference) {
  Graph graph = TwoLayers();
  const std::string reference = absl::StrCat("semantics: REFERENCE ", kLinear);
  ASSERT_OK(Calibrate(graph, "", reference).status);
  EXPECT_EQ(FormatOf(graph, "linear", "weight").semantics(), FormatProto::REFERENCE);
  graph = TwoLayers();
  EXPECT_THAT(
      Calibrate(graph, "scale: FLOAT", reference).status,
      StatusIs(kInvalid, AllOf(HasSubstr("linear (linear): data_in"), HasSubstr("REFERENCE"))));
}

}  // namespace
}  // namespace mase
