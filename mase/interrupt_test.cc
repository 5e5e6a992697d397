// Ctrl-C in the middle of a transform. Of trainings see train_kill_test.cc.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(InterruptTest, ATransformSaysThatItWasInterruptedAndKeepsWhatItHas) {
  // A pass that runs for minutes: 204 nets on 400,000 rows.
  std::vector<std::string> layers(100, "Linear 32");
  layers.push_back("Linear classes");
  const std::string folder = NewFolder();
  const CommandResult run = RunCommand(
      "/bin/sh",
      {"-c",
       ("\"$0\" \"$@\" & pid=$!\n"
        "for i in $(seq 600); do test -e run/settings.textproto && break; sleep 0.05; done\n"
        "sleep 0.5; kill -INT $pid; wait $pid"),
       Runfile("mase/ch"), "sensitivity", absl::StrJoin(layers, ", "), "jsc-sim",
       "--set=dataset.rows=500000", "--set=passes.quantize.linear.config.name=integer",
       "--set=passes.quantize.linear.config.weight_width=8",
       "--set=passes.quantize.linear.config.data_in_width=8",
       "--set=passes.quantize.linear.config.bias_width=8", "--set=passes.sensitivity.rows=400000",
       "--run_dir=run"},
      folder);
  EXPECT_EQ(run.exit_code, 130) << run.err;
  // In the pass or in front of it, as fast as the machine is.
  EXPECT_THAT(run.err, ContainsRegex("ERROR    (before [a-z_]+|sensitivity).*: interrupted; "));
  EXPECT_THAT(run.err, HasSubstr("/run has what was found before"));
  EXPECT_THAT(run.out, Not(HasSubstr("Files written")));
  const auto summary =
      nlohmann::json::parse(ValueOrDie(ReadFile(folder + "/run/summary.json", 1 << 24)));
  EXPECT_EQ(summary["status"], "interrupted");
  EXPECT_THAT(summary["artifacts"].dump(), HasSubstr("settings.textproto"));
}

TEST(InterruptTest, ATestLooksWhileItReadsItsData) {
  const std::string folder = NewFolder();
  const CommandResult run =
      RunCommand("/bin/sh",
                 {"-c",
                  ("\"$0\" \"$@\" 2> err & pid=$!\n"
                   "for i in $(seq 600); do test -s err && break; sleep 0.05; done\n"
                   "kill -TERM $pid; wait $pid; code=$?; cat err >&2; exit $code"),
                  Runfile("mase/ch"), "test", "jsc-tiny", "jsc-sim", "--set=dataset.rows=2000000",
                  absl::StrCat("--load=", Runfile("testdata/checkpoints/jsc-tiny.safetensors")),
                  "--run_dir=run"},
                 folder);
  EXPECT_EQ(run.exit_code, 130) << run.err;
  EXPECT_THAT(run.err, HasSubstr("ERROR    interrupted"));
}

}  // namespace
}  // namespace mase
