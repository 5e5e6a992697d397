#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
seq_blocks_0 = batch_norm1d(x, num_features=4) @seq_blocks.0
seq_blocks_1 = relu(seq_blocks_0) @seq_blocks.1
  quantized integer
  data_in = integer { width: 8 }
output = output(seq_blocks_1)
)";

TEST(ReportNodeTypeTest, PrintsMasesTable) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_node_type", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.printed, R"(Inspecting graph [add_common_node_type_analysis_pass]
Node name     Fx Node op    Mase type            Mase op       Value type
------------  ------------  -------------------  ------------  ------------
x             placeholder   placeholder          placeholder   NA
seq_blocks_0  call_module   module               batch_norm1d  float
seq_blocks_1  call_module   module_related_func  relu          integer
output        output        output               output        NA
)");
  EXPECT_EQ(run.count("nodes"), 4);
}

}  // namespace
}  // namespace mase
