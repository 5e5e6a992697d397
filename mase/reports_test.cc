// Tables, comparisons, plots and pages of runs, as their users see them.
#include <filesystem>
#include <string>
#include <vector>

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
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// One folder with two trainings and a transform for all tests, which only read it.
class ReportsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolder());
    for (const char* rate : {"1e-2", "1e-3"}) {
      const CommandResult run =
          Ch({"train", "jsc-tiny", "jsc-sim", "--set=dataset.rows=2000", "--max-epochs=2", "--html",
              absl::StrCat("--learning-rate=", rate), absl::StrCat("--run_dir=runs/rate-", rate)});
      ASSERT_EQ(run.exit_code, 0) << run.err;
    }
    const CommandResult run = Ch(
        {"transform", absl::StrCat("--config=", Runfile("testdata/configs/jsc_tiny_integer.toml")),
         "--execution=integer", "--report_execution", "--benchmark", "--html",
         "--run_dir=integer"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }

  static CommandResult Ch(const std::vector<std::string>& words) {
    return RunCommand("mase/ch", words, *folder_);
  }
  static std::string Contents(const std::string& path) {
    return ValueOrDie(ReadFile(absl::StrCat(*folder_, "/", path), 1 << 24));
  }

  static inline std::string* folder_ = nullptr;
};

TEST_F(ReportsTest, AFolderOfRunsIsATable) {
  const CommandResult report = Ch({"report", "runs", "integer"});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(report.out, AllOf(ContainsRegex("rate-1e-2 +jsc-tiny +jsc-sim +ok +test +0"),
                                ContainsRegex("integer +jsc-tiny +jsc +ok +test +0.7090")));
  for (const absl::string_view line : absl::StrSplit(report.out, '\n')) EXPECT_LE(line.size(), 80);

  const CommandResult csv = Ch({"report", "runs", "--columns=run,settings.learning_rate,loss",
                                "--sort=-settings.learning_rate", "--format=csv"});
  EXPECT_THAT(csv.out, ContainsRegex("^run,settings.learning_rate,loss\nrate-1e-2,0.01,[0-9.]+\n"
                                     "rate-1e-3,0.001,[0-9.]+\n$"));
  const json table = json::parse(Ch({"report", "runs", "--format=json"}).out);
  EXPECT_EQ(table["rows"].size(), 2u);
  EXPECT_THAT(Ch({"report", "runs", "--format=markdown"}).out, HasSubstr("| run"));
}

TEST_F(ReportsTest, WhatIsNoRunIsNamedBehindThoseThatAre) {
  const CommandResult report = Ch({"report", "integer", "nowhere"});
  EXPECT_EQ(report.exit_code, 2);
  EXPECT_THAT(report.out, HasSubstr("integer"));
  EXPECT_THAT(report.err, HasSubstr("nowhere: there is no such directory"));
  EXPECT_THAT(Ch({"report"}).err, HasSubstr("usage: ch report DIR..."));
  EXPECT_THAT(Ch({"report", "runs", "--batch-size=3"}).err, HasSubstr("no settings of runs"));
  EXPECT_THAT(Ch({"report", "runs", "--columns=acuracy"}).err,
              HasSubstr("did you mean 'accuracy'?"));
  EXPECT_THAT(Ch({"report", "runs", "--format=xml"}).err, HasSubstr("markdown"));
  EXPECT_EQ(Ch({"help", "report"}).exit_code, 0);
}

TEST_F(ReportsTest, TwoRunsStandSideBySide) {
  const CommandResult same = Ch({"compare", "runs/rate-1e-2", "runs/rate-1e-3"});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, AllOf(ContainsRegex("\nparameters +117 +117 +\\+0\n"),
                              ContainsRegex("\nMACs of a row +80 +80"),
                              ContainsRegex("\naccuracy +0\\.[0-9]+ +0\\.[0-9]+ +[-+]0\\.[0-9]+"),
                              HasSubstr("on the same 400 rows")));
  const CommandResult other = Ch({"compare", "runs/rate-1e-2", "integer"});
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_THAT(other.out, AllOf(ContainsRegex("\nbits of a weight +32 +"),
                               HasSubstr("were not counted on the same rows")));
  const CommandResult nets =
      Ch({"compare", "runs/rate-1e-2/best.safetensors", "integer/transformed.safetensors"});
  EXPECT_EQ(nets.exit_code, 0) << nets.err;
  EXPECT_THAT(nets.out, ContainsRegex("\nweight bytes +468 +"));
  EXPECT_EQ(Ch({"compare", "integer"}).exit_code, 2);
  EXPECT_THAT(Ch({"compare", "runs", "integer"}).err, HasSubstr("has 2 runs below it"));
}

TEST_F(ReportsTest, CurvesOfSeveralRunsAreOnePicture) {
  const CommandResult plot = Ch({"plot", "runs", "integer", "--metric=val_acc"});
  EXPECT_EQ(plot.exit_code, 0) << plot.err;
  EXPECT_THAT(plot.out, HasSubstr("val_acc of 2 runs"));
  EXPECT_THAT(Contents("val_acc.svg"), AllOf(HasSubstr("<svg"), HasSubstr(">rate-1e-2</text>"),
                                             HasSubstr(">rate-1e-3</text>")));
  const CommandResult none = Ch({"plot", "integer"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("none of the runs is a training"));
}

TEST_F(ReportsTest, ARunsPageShowsIt) {
  const std::string page = Contents("integer/report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("<title>transform jsc-tiny on jsc</title>"),
                          HasSubstr("id=\"settings\""), HasSubstr("passes.quantize"),
                          HasSubstr("id=\"nodes\""), HasSubstr("seq_blocks_2"),
                          HasSubstr("id=\"histograms\""), HasSubstr("integer 8/4"),
                          HasSubstr("Confusion matrix"), HasSubstr("data:image/svg+xml;base64,")));
  EXPECT_THAT(
      page, AllOf(HasSubstr("id=\"execution\""), HasSubstr("integer_chain"),
                  HasSubstr("uint8 x int8 + int32, sum"), HasSubstr("did not run on integer codes"),
                  HasSubstr("Kernels that ran, 256 rows a call"),
                  HasSubstr("<p>2 of 4 nodes ran on integer codes.</p>"),
                  HasSubstr("Time of a call"), HasSubstr("is the fastest")));
  EXPECT_LT(page.size(), size_t{1} << 20);
  EXPECT_THAT(Contents("integer/summary.json"), HasSubstr("report.html"));
  EXPECT_THAT(Contents("runs/rate-1e-2/report.html"), HasSubstr("id=\"curves\""));

  const CommandResult all = Ch({"report", "runs", "integer", "--html"});
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_THAT(Contents("report.html"), HasSubstr("<title>3 runs</title>"));
}

TEST_F(ReportsTest, ThePageOfALargeNetStaysSmall) {
  const CommandResult run =
      Ch({"transform", "resnet18", "cifar10", "--evaluate=false", "--html", "--run_dir=large",
          "--set=passes.quantize.conv2d.config.name=integer",
          "--set=passes.quantize.conv2d.config.data_in_width=8",
          "--set=passes.quantize.conv2d.config.weight_width=8",
          "--set=passes.quantize.conv2d.config.bias_width=8", "--set=passes.calculate_bitops={}"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const std::string page = Contents("large/report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("id=\"histograms\""), HasSubstr("data:image/svg+xml;base64,")));
  EXPECT_LT(page.size(), size_t{5} << 20);
}

}  // namespace
}  // namespace mase
