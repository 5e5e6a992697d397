#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 4]
bn = batch_norm1d(x, num_features=4)
add = add(bn, x)
size = method size(add, dim=0)
output = output(add)
)";

std::string SoftwareText(const Graph& graph, absl::string_view node) {
  return graph.FindNode(node)->metadata().software().ShortDebugString();
}

TEST(AddSoftwareMetadataTest, EveryTensorGetsAnEmptyPlace) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("add_software_metadata", "", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_EQ(SoftwareText(graph, "x"), R"(results { name: "data_out_0" })");
  EXPECT_EQ(SoftwareText(graph, "bn"),
            R"(args { name: "data_in_0" } args { name: "weight" } args { name: "bias" } )"
            R"(args { name: "running_mean" } args { name: "running_var" } )"
            R"(results { name: "data_out_0" })");
  EXPECT_EQ(SoftwareText(graph, "add"), R"(args { name: "data_in_0" } args { name: "data_in_1" } )"
                                        R"(results { name: "data_out_0" })");
  EXPECT_EQ(SoftwareText(graph, "output"),
            R"(args { name: "data_in_0" } results { name: "data_out_0" })");
}

TEST(AddSoftwareMetadataTest, SizesHaveNoStatistics) {
  Graph graph = ParseGraph(kNet);
  ASSERT_OK(RunPass("add_software_metadata", "", graph).status);
  EXPECT_EQ(SoftwareText(graph, "size"), R"(args { name: "data_in_0" })");
}

TEST(AddSoftwareMetadataTest, OldStatisticsAreForgotten) {
  Graph graph = ParseGraph(kNet);
  graph.FindNode("add")->mutable_metadata().mutable_software()->add_args()->add_stat();
  ASSERT_OK(RunPass("add_software_metadata", "", graph).status);
  EXPECT_EQ(graph.FindNode("add")->metadata().software().args(0).stat_size(), 0);
}

}  // namespace
}  // namespace mase
