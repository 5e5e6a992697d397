#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
fc = linear(x, in_features=4, out_features=1)
output = output(fc)
)";

TEST(ReportNodeShapeTest, PrintsWhatEveryNodeReadsAndMakes) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_shape", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.printed, R"(Inspecting graph [add_common_node_shape_analysis_pass]
x:
in:
out:
data_out_0 = [8, 4]

fc:
in:
data_in_0 = [8, 4]
weight = [1, 4]
bias = [1]
out:
data_out_0 = [8, 1]

output:
in:
out:
data_out_0 = [8, 1]

)");
}

}  // namespace
}  // namespace mase
