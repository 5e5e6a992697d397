#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr char kNet[] = R"pb(
  node {
    name: "x"
    kind: PLACEHOLDER
    op: "placeholder"
    target: "x"
    attribute {
      name: "shape"
      ints { value: 8 value: 4 }
    }
  }
  node {
    name: "fc"
    kind: CALL_MODULE
    op: "linear"
    target: "fc"
    input: "x"
    attribute { name: "in_features" i: 4 }
    attribute { name: "out_features" i: 1 }
  }
  node { name: "output" kind: OUTPUT op: "output" target: "output" input: "fc" }
)pb";

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
