#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/format/format.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"
#include "plugins/compare_formats/named_formats.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRows = 64;

// y = W x over eight inputs: the class is the larger of two sums.
constexpr char kNet[] = R"(
x = placeholder() : f32[2, 8]
fc = linear(x, in_features=8, out_features=2)
relu = relu(fc)
output = output(relu)
)";

Graph MakeNet() {
  Graph graph = ParseGraph(kNet);
  std::vector<float> weight(16);
  for (int i = 0; i < 16; ++i) weight[i] = std::sin(2.0f * i) + (i < 8 ? 1.5f : -1.5f);
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({2, 8}, weight), false);
  graph.SetTensor("fc.bias", Tensor::FromValues<float>({2}, {0.25f, 3.0f}), false);
  return graph;
}

// Evaluates on what the float net says about its samples, so that float is always right.
class Host : public TestHost {
 public:
  explicit Host(const Graph& graph) {
    std::vector<float> x(kRows * 8);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7f * static_cast<float>(i * i % 97));
    samples["x"] = Tensor::FromValues<float>({kRows, 8}, x);
    auto executor = Executor::Create(graph).value();
    EXPECT_OK(executor->Forward(ExecutionMode::kInference, kRows, {Features()}));
    std::vector<int64_t> labels(kRows);
    for (int i = 0; i < kRows; ++i) {
      labels[i] = executor->output()[2 * i + 1] > executor->output()[2 * i] ? 1 : 0;
    }
    labels_ = Tensor::FromValues<int64_t>({kRows}, labels);
  }

  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) override {
    auto executor = Executor::Create(graph);
    if (!executor.ok()) return executor.status();
    return mase::Evaluate(**executor, samples["x"], labels_, kRows);
  }

 private:
  const float* Features() { return samples["x"].data<float>().data(); }

  Tensor labels_;
};

PassRun Compare(const std::string& options, Graph& graph) {
  Host host(graph);
  return RunPasses({MakePass("compare_formats", options)}, graph, host);
}

// Cells of the row of formats.csv that begins with `name`.
std::vector<std::string> CsvRow(const PassRun& run, const std::string& name) {
  const auto csv = run.artifacts.find("compare_formats/formats.csv");
  if (csv == run.artifacts.end()) return {};
  for (const absl::string_view line : absl::StrSplit(csv->second, '\n')) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    if (cells[0] == name) return cells;
  }
  return {};
}

TEST(CompareFormatsTest, ListsEveryFormatByBitsAndLeavesTheGraphAlone) {
  Graph graph = MakeNet();
  const PassRun run = Compare("", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_EQ(graph.FindNode("fc")->quantization(), nullptr);
  EXPECT_GE(run.count("formats_measured"), 45);
  EXPECT_EQ(run.count("formats_refused"), 0);
  EXPECT_THAT(run.printed, HasSubstr("1 nodes quantized, ranges from 64 test rows"));
  EXPECT_EQ(CsvRow(run, "float32")[3], "1");
  EXPECT_THAT(CsvRow(run, "integer 16")[3], "1");
  const size_t wide = run.printed.find("integer 16"), narrow = run.printed.find("integer 3");
  EXPECT_LT(wide, narrow);
  EXPECT_THAT(run.printed, HasSubstr("  best"));
  EXPECT_THAT(run.artifacts.at("compare_formats/formats.svg"), StartsWith("<svg"));
}

TEST(CompareFormatsTest, MoreBitsOfOneFamilyGiveAHigherRatioOfSignalToNoise) {
  Graph graph = MakeNet();
  const PassRun run = Compare("", graph);
  double last = -1e9;
  for (const char* name : {"integer 3", "integer 4", "integer 6", "integer 8", "integer 12"}) {
    const double sqnr = std::stod(CsvRow(run, name)[8]);
    EXPECT_GT(sqnr, last) << name;
    last = sqnr;
  }
}

TEST(CompareFormatsTest, BitsAreThoseOfWeightsAndOfInputsWithBlockCodes) {
  Graph graph = MakeNet();
  const PassRun run = Compare(R"pb(formats: "integer 6"
                                   formats: "binary { }"
                                   formats: "block_fp { width: 4 block_size: 4 }")pb",
                              graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(CsvRow(run, "integer 6")[1], "6");
  EXPECT_EQ(CsvRow(run, "integer 6")[2], "6");
  // Linear layers of that family have such weights alone; a row has a float scale.
  EXPECT_EQ(CsvRow(run, "binary { }")[1], "5");
  EXPECT_EQ(CsvRow(run, "binary { }")[2], "32");
  EXPECT_EQ(CsvRow(run, "block_fp { width: 4 block_size: 4 }")[1], "6");  // 4 + 8 / 4.
}

TEST(CompareFormatsTest, EqualsTheQuantizedNetWhereNothingIsLeftOpen) {
  Graph graph = MakeNet();
  Host host(graph);
  const PassRun run =
      RunPasses({MakePass("compare_formats", "formats: 'integer 4/2'")}, graph, host);
  ASSERT_OK(run.status);
  Graph quantized = MakeNet();
  Quantization record;
  for (const char* name : {"data_in", "weight", "bias"}) {
    OperandFormat* operand = record.add_operand();
    operand->set_operand(name);
    operand->mutable_format()->mutable_integer()->set_width(4);
    operand->mutable_format()->mutable_integer()->set_frac_width(2);
  }
  quantized.SetQuantization(quantized.FindNode("fc"), record);
  EXPECT_EQ(CsvRow(run, "integer 4/2")[5], std::to_string(host.Evaluate(quantized)->correct));
}

TEST(CompareFormatsTest, RecordsThatNodesHaveAreForgottenInTheComparison) {
  Graph graph = MakeNet();
  const PassRun plain = Compare("formats: 'integer 5'", graph);
  Quantization record;
  record.set_format("binary");
  OperandFormat* operand = record.add_operand();
  operand->set_operand("weight");
  operand->mutable_format()->mutable_binary();
  graph.SetQuantization(graph.FindNode("fc"), record);
  const PassRun again = Compare("formats: 'integer 5'", graph);
  ASSERT_OK(again.status);
  EXPECT_EQ(CsvRow(again, "integer 5")[8], CsvRow(plain, "integer 5")[8]);
  EXPECT_NE(graph.FindNode("fc")->quantization(), nullptr);
}

TEST(CompareFormatsTest, AFormatThatTheOpCannotHaveIsARowThatSaysWhy) {
  Graph graph = MakeNet();
  const PassRun run =
      Compare("ops: 'relu' ops: 'linear' formats: 'integer 8' formats: 'flexround 8'", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.count("formats_refused"), 1);
  EXPECT_THAT(run.printed, HasSubstr("Not for this net:\nflexround 8: relu: there is no relu in"));
}

TEST(CompareFormatsTest, ReferenceRunsEveryFormatThatMaseHas) {
  Graph graph = MakeNet();
  const PassRun run = Compare("semantics: REFERENCE", graph);
  ASSERT_OK(run.status);
  EXPECT_GE(run.count("formats_measured"), 30);  // Others MASE has, but not for linear.
  EXPECT_THAT(run.artifacts.at("compare_formats/formats.csv"), HasSubstr("semantics: REFERENCE"));
}

TEST(CompareFormatsTest, BadOptionsAreRefusedBeforeAnythingRuns) {
  const std::pair<const char*, const char*> cases[] = {
      {"formats: 'integr 8'", "unknown format 'integr'; did you mean 'integer'?"},
      {"formats: 'integer 8/4/2'", "3 values, but integer has width/frac_width"},
      {"formats: 'integer x'", "format 'integer x': width 'x'"},
      {"formats: 'integer 0'", "integer: width 0, allowed 1 to 32"},
      {"formats: 'integer { widht: 8 }'", "widht"},
      {"formats: 'affine { width: 0 }'", "affine: width 0"},
      {"ops: 'linaer'", "did you mean 'linear'?"},
      {"ops: 'flatten'", "op flatten cannot be quantized"},
      {"ops: 'conv2d'", "the net has no node of the ops conv2d"},
      {"semantics: 9", "semantics: 9 is none of EXACT, REFERENCE"}};
  for (const auto& [options, message] : cases) {
    Graph graph = MakeNet();
    EXPECT_THAT(std::string(Compare(options, graph).status.message()), HasSubstr(message))
        << options;
  }
}

TEST(CompareFormatsTest, WithoutDataThereIsNothingToCompare) {
  Graph graph = MakeNet();
  EXPECT_THAT(RunPass("compare_formats", "", graph).status,
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("no data")));
}

namespace compare_formats = plugins::compare_formats;

FormatProto Fitted(const std::string& text, float lowest, float highest) {
  const FormatProto format = compare_formats::ParseNamed(text).value().format;
  return compare_formats::Settle(format, {lowest, highest}).value();
}

TEST(SettleTest, TakesTheFinestRangeThatCoversTheTensor) {
  EXPECT_EQ(Fitted("integer 8", -0.3f, 0.99f).integer().frac_width(), 7);
  EXPECT_EQ(Fitted("integer 8", -0.3f, 1.0f).integer().frac_width(), 6);
  EXPECT_EQ(Fitted("integer 4", -100, 3).integer().frac_width(), -4);
  EXPECT_EQ(Fitted("integer 8", 0, 0.01f).integer().frac_width(), 13);
  for (const char* text : {"integer 8", "integer 3", "minifloat_ieee 8/4", "minifloat_ieee 4/2",
                           "minifloat_denorm 6/3", "log 5", "lsq { level: 16 sym: true }"}) {
    for (const float m : {1e-12f, 0.02f, 0.5f, 0.7f, 1.0f, 3.9f, 4.0f, 1e9f}) {
      const double highest = Format::Create(Fitted(text, -m, m)).value()->highest();
      const double half_step = Format::Create(Fitted(text, -m, m)).value()->step() / 2;
      EXPECT_GE(highest + half_step, m * 0.999999) << text << " " << m;
      EXPECT_LT(highest, 2 * m * 1.01) << text << " " << m;
    }
  }
}

TEST(SettleTest, AffineSpendsAllCodesBetweenTheEndsAndKeepsZero) {
  const FormatProto format = Fitted("affine 8", -1, 4.1f);
  EXPECT_NEAR(format.affine().scale(0), 0.02f, 1e-7f);
  EXPECT_EQ(format.affine().zero_point(0), -78);
  EXPECT_EQ(Fitted("affine 8", 1, 2).affine().zero_point(0), -128);
}

TEST(SettleTest, WhatIsGivenStays) {
  EXPECT_EQ(Fitted("integer 8/4", -0.1f, 0.1f).integer().frac_width(), 4);
  EXPECT_EQ(Fitted("minifloat_ieee 8/4/7", -0.1f, 0.1f).minifloat_ieee().exponent_bias(), 7);
  EXPECT_EQ(Fitted("mxint8", -0.1f, 0.1f).SerializeAsString(),
            compare_formats::ParseNamed("mxint8").value().format.SerializeAsString());
}

TEST(SettleTest, ZerosAreExactInAnyFormat) {
  for (const char* text : {"integer 4", "affine 4", "log 5", "lsq { level: 16 sym: true }"}) {
    EXPECT_GT(Format::Create(Fitted(text, 0, 0)).value()->highest(), 0) << text;
  }
}

}  // namespace
}  // namespace mase
