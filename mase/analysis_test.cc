// The passes of docs/analysis.md and weights stored as codes, as users run them.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
using ::testing::HasSubstr;

// jsc-s, trained, its linear layers in integers of so many bits.
std::vector<std::string> Quantized(int bits) {
  return {"jsc-s", "jsc",
          absl::StrCat("--load=", Runfile("testdata/checkpoints/jsc-s.safetensors")),
          absl::StrCat("--set=passes.quantize.linear.config=integer ", bits),
          "--set=passes.calibrate.method=mse"};
}

CommandResult Ch(const std::string& action, std::vector<std::string> words,
                 const std::vector<std::string>& more, const std::string& folder) {
  words.insert(words.begin(), action);
  words.insert(words.end(), more.begin(), more.end());
  return RunCommand("mase/ch", words, folder);
}

std::string Read(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

void ExpectFits80Columns(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "Files written to")) continue;  // As long as the folder's name.
    EXPECT_LE(line.size(), 80) << line;
  }
}

TEST(AnalysisTest, CodesTakeTheirBitsAndChangeNoFigure) {
  const std::string folder = NewFolder();
  for (const int bits : {8, 4, 2}) {
    const std::string in_float = absl::StrCat("float", bits), coded = absl::StrCat("codes", bits);
    const CommandResult plain = Ch("transform", Quantized(bits), {"--run_dir=" + in_float}, folder);
    ASSERT_EQ(plain.exit_code, 0) << plain.err;
    const CommandResult stored =
        Ch("transform", Quantized(bits), {"--run_dir=" + coded, "--store=quantized"}, folder);
    ASSERT_EQ(stored.exit_code, 0) << stored.err;
    // 5,280 weights and 165 biases; 5 of them end within a byte.
    EXPECT_THAT(stored.out, HasSubstr(absl::StrCat("Stored as codes: 10 tensors, 5,445 values in ",
                                                   bits == 8   ? "5,445"
                                                   : bits == 4 ? "2,723"
                                                               : "1,362",
                                                   " bytes\n")));
    const auto figures = [&](const std::string& run) {
      const CommandResult test =
          RunCommand("mase/ch", {"test", "--load=" + run + "/transformed.safetensors"}, folder);
      EXPECT_EQ(test.exit_code, 0) << test.err;
      return TestFigures(test.out);
    };
    EXPECT_EQ(figures(coded), figures(in_float)) << bits;
    EXPECT_GE(figures(coded).size(), 2u);
  }
  const auto verify = [&](const std::string& run, const std::string& to) {
    return RunCommand("mase/ch",
                      {"verify", "--load=" + run + "/transformed.safetensors", "--run_dir=" + to,
                       "--set=passes.verify_quantization.stored=true"},
                      folder);
  };
  const CommandResult good = verify("codes4", "good");
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("Operands with a number format"));
  const CommandResult bad = verify("float4", "bad");
  EXPECT_EQ(bad.exit_code, 3);
  EXPECT_THAT(bad.err, HasSubstr("of the weights are off their grids"));
  const json summary = json::parse(Read(folder + "/bad/summary.json"));
  EXPECT_EQ(summary["status"], "missed");
  EXPECT_EQ(summary["passes"][0]["name"], "verify_quantization");
  EXPECT_EQ(summary["passes"][0]["tables"][0]["name"], "operands");
  EXPECT_THAT(Read(folder + "/bad/verify_quantization/operands.csv"), HasSubstr(",NO\n"));
}

TEST(AnalysisTest, EachAnalysisIsAWordOfTheProgramAndATable) {
  const std::string folder = NewFolder();
  const struct {
    const char* action;
    const char* pass;
    const char* table;
    const char* line;
  } kRows[] = {
      {"profile", "profile_statistics", "statistics", "Statistics of 512 of 1,000 real rows"},
      {"verify", "verify_quantization", "operands", "256 of 1,000 real rows"},
      {"compare-activations", "compare_activations", "layers", "keep_float = ["},
      {"sensitivity", "sensitivity", "nodes", "All quantized: SQNR "},
  };
  for (const auto& row : kRows) {
    const CommandResult run =
        Ch(row.action, Quantized(4), {absl::StrCat("--run_dir=", row.action)}, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr(row.line));
    ExpectFits80Columns(run.out);
    const std::string run_dir = absl::StrCat(folder, "/", row.action, "/");
    EXPECT_THAT(Read(absl::StrCat(run_dir, row.pass, "/", row.table, ".csv")), HasSubstr("\n"));
    const json summary = json::parse(Read(run_dir + "summary.json"));
    bool found = false;
    for (const json& pass : summary["passes"]) {
      if (pass["name"] != row.pass) continue;
      found = true;
      EXPECT_EQ(pass["tables"][0]["name"], row.table);
      EXPECT_EQ(pass["changed"], false);
    }
    EXPECT_TRUE(found) << row.pass;
  }
}

TEST(AnalysisTest, ALayerThatIsKeptInFloatIsWorthIt) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Ch("compare-activations", Quantized(3), {"--run_dir=all"}, folder).exit_code, 0);
  ASSERT_EQ(Ch("compare-activations", Quantized(3),
               {"--run_dir=kept", "--set=passes.quantize.keep_float=[\"module_list_2\"]"}, folder)
                .exit_code,
            0);
  const auto sqnr = [&](const std::string& run) {
    const json summary = json::parse(Read(absl::StrCat(folder, "/", run, "/summary.json")));
    for (const json& pass : summary["passes"]) {
      if (pass["name"] == "compare_activations") {
        return pass["result"]["output_sqnr_db"].get<double>();
      }
    }
    return 0.0;
  };
  EXPECT_GT(sqnr("kept"), sqnr("all"));
}

}  // namespace
}  // namespace mase
