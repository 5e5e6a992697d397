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
    name: "seq_blocks_0"
    kind: CALL_MODULE
    op: "batch_norm1d"
    target: "seq_blocks.0"
    input: "x"
    attribute { name: "num_features" i: 4 }
  }
  node {
    name: "seq_blocks_1"
    kind: CALL_MODULE
    op: "relu"
    target: "seq_blocks.1"
    input: "seq_blocks_0"
    metadata {
      quantization {
        format: "integer"
        operand {
          operand: "data_in"
          format { integer { width: 8 } }
        }
      }
    }
  }
  node { name: "output" kind: OUTPUT op: "output" target: "output" input: "seq_blocks_1" }
)pb";

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
