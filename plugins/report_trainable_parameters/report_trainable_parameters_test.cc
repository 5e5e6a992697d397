#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TEST(ReportTrainableParametersTest, ModulesCountWhatIsInThemAndTheTotalEverythingOnce) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("report_trainable_parameters", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("parameters"),
            "Submodule,Trainable Parameters\n"
            "seq_blocks,117\n"
            "seq_blocks.0,32\n"
            "seq_blocks.2,85\n");
  EXPECT_EQ(run.result("total_trainable_parameters"), 117);
  EXPECT_THAT(run.printed, HasSubstr("Total Trainable Parameters: 117\n"));
}

}  // namespace
}  // namespace mase
