// The trained nets of testdata/checkpoints, measured on the 1,000 real jets.
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

// "..., 717 of 1,000 correct" in what the test prints; -1 if it is not there.
int CorrectOf1000(const std::string& out) {
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    const std::pair<absl::string_view, absl::string_view> cut =
        absl::StrSplit(line, absl::MaxSplits(" of 1,000 correct", 1));
    int correct = -1;
    if (cut.first == line) continue;
    if (absl::SimpleAtoi(cut.first.substr(cut.first.rfind(' ') + 1), &correct)) return correct;
  }
  return -1;
}

TEST(CheckpointsTest, ClassifyRealJetsAsTheReadmeSays) {
  const std::pair<std::string, int> nets[] = {
      {"jsc-tiny", 717},  {"jsc-tiny-handout", 720}, {"jsc-nas", 726}, {"jsc-custom", 735},
      {"jsc-s", 737},     {"jsc-trt", 739},          {"jsc-toy", 746}, {"jsc-toy10x", 759},
      {"report-000", 759}};
  const std::string folder = NewFolder();
  for (const auto& [net, correct] : nets) {
    const std::string file = Runfile(absl::StrCat("testdata/checkpoints/", net, ".safetensors"));
    const CommandResult run = RunCommand("mase/test", {net, "jsc", "--load", file}, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    // Another processor may round a score the other way.
    EXPECT_NEAR(CorrectOf1000(run.out), correct, 1) << net;
  }
}

}  // namespace
}  // namespace mase
