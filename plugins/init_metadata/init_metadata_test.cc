#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
relu = relu(x)
  quantized integer
  data_in = integer { width: 8 }
output = output(relu)
)";

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
