// Integer execution, run as its users run it.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kInteger[] = R"(
model = "jsc-s"
dataset = "jsc"
batch_size = 256
[passes.quantize]
by = "type"
[passes.quantize.linear.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
weight_width = 8
weight_frac_width = 4
bias_width = 8
bias_frac_width = 4
)";

constexpr char kMinifloat[] = R"(
model = "jsc-s"
dataset = "jsc"
[passes.quantize]
by = "type"
[passes.quantize.linear.config]
name = "minifloat_ieee"
data_in_width = 8
data_in_exponent_width = 4
weight_width = 8
weight_exponent_width = 4
bias_width = 8
bias_exponent_width = 4
)";

struct Outcome {
  CommandResult command;
  std::string folder;  // Its run directory is "run" in it.
  json summary;
};

Outcome Transform(const std::string& config, const std::vector<std::string>& flags) {
  const std::string folder =
      absl::StrCat(::testing::TempDir(), "/",
                   ::testing::UnitTest::GetInstance()->current_test_info()->name(), flags.size());
  std::filesystem::create_directories(folder);
  EXPECT_OK(WriteFileAtomically(folder + "/my.toml", config));
  std::vector<std::string> arguments = {
      "--config=" + folder + "/my.toml", "--run_dir=" + folder + "/run",
      absl::StrCat("--load=", Runfile("testdata/checkpoints"), "/jsc-s.safetensors")};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  Outcome run = {RunCommand("mase/transform", arguments, folder), folder, {}};
  const auto text = ReadFile(folder + "/run/summary.json", int64_t{1} << 26);
  if (text.ok()) run.summary = json::parse(*text);
  return run;
}

// But for the name of the directory, which is as long as it is.
void ExpectFits80Columns(const Outcome& run) {
  for (const absl::string_view line : absl::StrSplit(run.command.out, '\n')) {
    if (absl::StartsWith(line, "Files written to ")) continue;
    EXPECT_LE(line.size(), 80u) << line;
  }
}

double Metric(const json& summary, const std::string& name) {
  for (const json& metric : summary["metrics"]) {
    if (metric["name"] == name && metric["stage"] == "transformed") return metric["value"];
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

TEST(IntegerRunTest, AWholeDataSetGivesTheSimulationsFigures) {
  const Outcome simulated = Transform(kInteger, {});
  const Outcome integer = Transform(kInteger, {"--execution=integer"});
  ASSERT_EQ(simulated.command.exit_code, 0) << simulated.command.err;
  ASSERT_EQ(integer.command.exit_code, 0) << integer.command.err;
  for (const char* metric : {"accuracy", "loss"}) {
    EXPECT_EQ(Metric(integer.summary, metric), Metric(simulated.summary, metric)) << metric;
  }
}

TEST(IntegerRunTest, TheReportNamesKernelsTypesAndReasons) {
  const Outcome run =
      Transform(kInteger, {"--execution=integer", "--report_execution", "--require_int8"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  EXPECT_THAT(run.command.out, AllOf(HasSubstr("integer_chain"), HasSubstr("uint8 x int8"),
                                     HasSubstr("nodes ran on integer codes")));
  // What computed it and how wide its sums are, in a log of 80 columns, too.
  const std::string isa = run.summary["execution"][0]["isa"];
  EXPECT_THAT(run.command.out, AllOf(HasSubstr(isa.substr(0, isa.find(' '))), HasSubstr(", sum "),
                                     Not(HasSubstr("()"))));
  EXPECT_THAT(run.command.out, HasSubstr("GMAC/s\n"));
  ExpectFits80Columns(run);
  int integers = 0;
  for (const json& step : run.summary["execution"]) {
    if (step["operands"] != json::array({"uint8", "int8"})) continue;
    ++integers;
    EXPECT_THAT(std::string(step["kernel"]), StartsWith("part: integer_linear + "));
    EXPECT_TRUE(step["microseconds"].is_null());  // The chain's.
    EXPECT_EQ(step["bias"], "int32");
    EXPECT_GT(step["accumulator_bits"], 8);
    EXPECT_LE(step["accumulator_bits"], 32);
  }
  EXPECT_EQ(integers, 5);  // Its linear layers.
  for (const json& node : run.summary["nodes"]) {
    EXPECT_EQ(node["execution"] == "integer", node["reason"] == "") << node;
    EXPECT_TRUE(node["execution"] == "integer" || node["has_record"] == false) << node;
  }
}

constexpr char kAffine[] = R"(
model = "jsc-s"
dataset = "jsc"
[passes.quantize]
by = "type"
[passes.quantize.linear.config]
name = "affine"
data_in_width = 8
data_in_scale = 0.03
weight_width = 8
weight_scale = 0.011
bias_width = 16
bias_scale = 0.00033
)";

TEST(IntegerRunTest, WithStepsThatAreNoPowersOfTwoTheDifferencesAreTold) {
  const Outcome run = Transform(kAffine, {"--execution=integer", "--report_execution"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  EXPECT_THAT(run.command.out,
              AllOf(HasSubstr("Beside the simulation, on 1,000 rows: results of up to "),
                    HasSubstr("of 1,000 decisions differ")));
  const json& difference = run.summary["difference"];
  EXPECT_EQ(difference["rows"], 1000);
  EXPECT_GT(difference["largest_result"], 0);
  EXPECT_GE(difference["largest_difference"], 0);
  EXPECT_LT(difference["largest_difference"], difference["largest_result"]);
  // Its last results are in no format.
  EXPECT_EQ(difference["step_of"], "float32");
  const float largest = difference["largest_result"];
  EXPECT_EQ(difference["step"], std::nextafter(largest, HUGE_VALF) - largest);
  EXPECT_EQ(difference["steps"].get<double>() * difference["step"].get<double>(),
            difference["largest_difference"].get<double>());
  EXPECT_EQ(absl::StrContains(run.command.out, "in the last place"), difference["steps"] != 0);
  EXPECT_THAT(run.command.out, HasSubstr(absl::StrCat(difference["decisions"].get<int64_t>(),
                                                      " of 1,000 decisions differ")));
}

// The same figures whether they are shown or only required; of one row they are taken once.
TEST(IntegerRunTest, WhatIsRequiredIsReportedAndOneRowIsTimedOnce) {
  const Outcome required = Transform(kInteger, {"--execution=integer", "--require_int8"});
  ASSERT_EQ(required.command.exit_code, 0) << required.command.err;
  EXPECT_FALSE(required.summary["execution"].empty());
  EXPECT_THAT(required.command.out, Not(HasSubstr("Kernels that ran")));
  const Outcome timed =
      Transform(kInteger, {"--execution=integer", "--benchmark", "--batch_size=1"});
  ASSERT_EQ(timed.command.exit_code, 0) << timed.command.err;
  EXPECT_EQ(timed.summary["timings"].size(), 3u);
}

// The last node is a ReLU, of numbers in these steps.
TEST(IntegerRunTest, DifferencesOfRoundedResultsAreInTheStepsOfTheirFormat) {
  const Outcome run = Transform(absl::StrCat(kAffine,
                                             "[passes.quantize.relu.config]\nname = \"affine\"\n"
                                             "data_in_width = 8\ndata_in_scale = 0.5\n"),
                                {"--execution=integer", "--report_execution", "--debug"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  const json& difference = run.summary["difference"];
  EXPECT_EQ(difference["step"], 0.5);
  EXPECT_THAT(std::string(difference["step_of"]), StartsWith("affine"));
  EXPECT_EQ(difference["steps"], difference["largest_difference"].get<double>() / 0.5);
  EXPECT_EQ(absl::StrContains(run.command.out, " steps of affine"), difference["steps"] != 0);
}

// Nothing is to be compared where the contract is equal bits.
TEST(IntegerRunTest, WithPowersOfTwoThereIsNoDifference) {
  const Outcome run = Transform(kInteger, {"--execution=integer", "--report_execution"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  EXPECT_TRUE(run.summary["difference"].is_null()) << run.summary["difference"];
}

// The manual's own word, which other settings have for "not set".
TEST(IntegerRunTest, AnOperandWithTheNameNaStaysFloat) {
  const std::string config = absl::StrReplaceAll(
      kInteger, {{"bias_width = 8\nbias_frac_width = 4", "bias_name = \"NA\""}});
  const Outcome run = Transform(config, {"--execution=integer", "--require_int8"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  const std::string nodes = ValueOrDie(ReadFile(run.folder + "/run/quantize/nodes.csv", 1 << 20));
  EXPECT_THAT(nodes, HasSubstr("linear,quantized,\"integer data_in 8/4, weight 8/4\""));
  EXPECT_THAT(nodes, Not(HasSubstr("bias")));
}

TEST(IntegerRunTest, WhatRequiresIntegersRequiresRows) {
  // Rows to train on, and none to measure on.
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/rows.csv", "a,b,class\n1,2,x\n2,1,y\n3,1,x\n"));
  const CommandResult run =
      RunCommand("mase/transform",
                 {"Linear 2", "csv", "--set=dataset.train=rows.csv", "--evaluate=false",
                  "--require_int8", "--set=passes.quantize.linear.config=integer 8/4"},
                 folder);
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("there are no rows to run the net on"));
}

TEST(IntegerRunTest, RequirementsThatAreMetSaySo) {
  const Outcome run = Transform(kInteger, {"--execution=integer", "--require_int8"});
  EXPECT_EQ(run.command.exit_code, 0) << run.command.err;
  EXPECT_THAT(
      run.command.out,
      HasSubstr("--require_int8 is met: 5 of 5 nodes with a record ran on integer codes.\n"));
}

TEST(IntegerRunTest, ASettingsFileRequiresByATruth) {
  const Outcome run = Transform(absl::StrCat("require_int8 = true\n", kInteger), {});
  EXPECT_EQ(run.command.exit_code, 3) << run.command.err;
}

// A line for each node, and no more than one can read.
TEST(IntegerRunTest, RequirementsThatAreNotMetExitWithThree) {
  const Outcome simulated = Transform(kInteger, {"--require_int8"});
  EXPECT_EQ(simulated.command.exit_code, 3) << simulated.command.err;
  EXPECT_THAT(simulated.command.err,
              HasSubstr("--require_int8 is not met: 5 of 5 nodes with a record did not run on "
                        "integer codes:\n"
                        "module_list_2 (linear) ran simulated: --execution=simulated; codes run "
                        "with --execution=integer\n"
                        "module_list_5 (linear) ran simulated: "));
  const Outcome floats = Transform(kMinifloat, {"--execution=integer", "--require_int8"});
  EXPECT_EQ(floats.command.exit_code, 3) << floats.command.err;
  EXPECT_THAT(floats.command.err, AllOf(HasSubstr("(linear) ran simulated: data_in: minifloat_ieee "
                                                  "is no multiple of one step")));
  // Its batch norms have no record.
  const Outcome all = Transform(kInteger, {"--execution=integer", "--require_int8=all", "--debug"});
  EXPECT_EQ(all.command.exit_code, 3) << all.command.err;
  EXPECT_THAT(all.command.err,
              AllOf(HasSubstr("(batch_norm1d) ran float"), Not(HasSubstr("(linear) ran"))));
  const Outcome many =
      Transform(kInteger, {"--require_int8=all", "--execution=simulated", "--debug", "--seed=1"});
  EXPECT_EQ(many.command.exit_code, 3);
  EXPECT_THAT(many.command.err,
              AllOf(HasSubstr("nodes from the first with a record on did not run on integer codes"),
                    ContainsRegex("\nand [0-9]+ more\n")));
}

TEST(IntegerRunTest, TheBenchmarkComparesThreeWays) {
  const Outcome run = Transform(kInteger, {"--benchmark"});
  ASSERT_EQ(run.command.exit_code, 0) << run.command.err;
  EXPECT_THAT(run.command.out, HasSubstr("is the fastest"));
  ExpectFits80Columns(run);
  ASSERT_EQ(run.summary["timings"].size(), 6);
  for (const json& timing : run.summary["timings"]) {
    EXPECT_GT(timing["median_microseconds"], 0);
    EXPECT_GE(timing["p99_microseconds"], timing["median_microseconds"]);
  }
}

}  // namespace
}  // namespace mase
