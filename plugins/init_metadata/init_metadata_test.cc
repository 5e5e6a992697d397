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
    name: "relu"
    kind: CALL_MODULE
    op: "relu"
    target: "relu"
    input: "x"
    metadata {
      common { mase_type: "module_related_func" }
      software { args { name: "data_in_0" } }
      quantization {
        format: "integer"
        operand {
          operand: "data_in"
          format { integer { width: 8 } }
        }
      }
    }
  }
  node { name: "output" kind: OUTPUT op: "output" target: "output" input: "relu" }
)pb";

TEST(InitMetadataTest, ForgetsNotesButNotHowANodeIsQuantized) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("init_metadata", "", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_EQ(run.count("nodes"), 3);
  const NodeMetadata& metadata = graph.FindNode("relu")->metadata();
  EXPECT_FALSE(metadata.has_common());
  EXPECT_FALSE(metadata.has_software());
  EXPECT_EQ(metadata.quantization().format(), "integer");
}

TEST(InitMetadataTest, NotesAreMadeAgainForThePassesThatNeedThem) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPasses({MakePass("add_common_metadata"), MakePass("init_metadata"),
                                 MakePass("report_node_type"), MakePass("report_node_type")},
                                graph);
  ASSERT_OK(run.status);
  ASSERT_EQ(run.report.passes_size(), 5);
  EXPECT_EQ(run.report.passes(2).name(), "add_common_metadata");
  EXPECT_EQ(run.report.passes(2).label(), "needed by report_node_type");
}

}  // namespace
}  // namespace mase
