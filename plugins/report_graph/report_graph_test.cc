#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/shape_inference.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 16]
seq_blocks_0 = batch_norm1d(x, num_features=16) @seq_blocks.0
seq_blocks_1 = linear(seq_blocks_0, in_features=16, out_features=5) @seq_blocks.1
flatten = function flatten(seq_blocks_1) @torch.flatten
add = add(flatten, flatten) @operator.add
output = output(add)
)";

constexpr char kReport[] = R"(graph():
    %x : [num_users=1] = placeholder[target=x]
    %seq_blocks_0 : [num_users=1] = call_module[target=seq_blocks.0](args = (%x,), kwargs = {})
    %seq_blocks_1 : [num_users=1] = call_module[target=seq_blocks.1](args = (%seq_blocks_0,), kwargs = {})
    %flatten : [num_users=1] = call_function[target=torch.flatten](args = (%seq_blocks_1,), kwargs = {end_dim: -1, start_dim: 1})
    %add : [num_users=1] = call_function[target=operator.add](args = (%flatten, %flatten), kwargs = {})
    return add
Network overview:
{'placeholder': 1, 'get_attr': 0, 'call_function': 2, 'call_method': 0, 'call_module': 2, 'output': 1}
Layer types:
[BatchNorm1d(16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True), Linear(in_features=16, out_features=5, bias=True)]

Legend: placeholder = an input of the net (1); call_function = a free function (2); call_module = a layer, which may own parameters (2); output = the result (1)
)";

TEST(ReportGraphTest, PrintsTheGraphAsMaseDoesAndExplainsIt) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_graph", "", graph);
  ASSERT_OK(run.status);
  EXPECT_FALSE(run.changed());
  EXPECT_THAT(run.printed, StartsWith(kReport));
  EXPECT_THAT(run.printed,
              HasSubstr("seq_blocks_1  call_module    linear        [8, 5]           85"));
  EXPECT_EQ(run.count("call_module"), 2);
  EXPECT_THAT(graph, EqualsGraph(kNet));
}

TEST(ReportGraphTest, ShapesAreThoseOfTheRunsBatch) {
  Graph graph = ParseGraph(kNet);
  ASSERT_OK(InferShapes(graph, 3));
  EXPECT_THAT(RunPass("report_graph", "", graph).printed, HasSubstr("[3, 5]"));
}

TEST(ReportGraphTest, WritesAFileInsteadWhereOneIsNamed) {
  Graph graph = ParseGraph(kNet);
  const PassRun run = RunPass("report_graph", R"pb(file_name: "reports/graph.txt")pb", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.printed, "");
  EXPECT_THAT(run.artifacts.at("reports/graph.txt"), StartsWith(kReport));
}

TEST(ReportGraphTest, MasesLongNameIsTheSamePass) {
  Graph graph = ParseGraph(kNet);
  EXPECT_OK(RunPass("report_graph_analysis_pass", "", graph).status);
}

TEST(ReportGraphTest, RefusesFilesOutsideTheRunDirectory) {
  for (const std::string name : {"/tmp/graph.txt", "../graph.txt", "a//b", "a/./b"}) {
    Graph graph = ParseGraph(kNet);
    EXPECT_THAT(RunPass("report_graph", "file_name: '" + name + "'", graph).status,
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("report_graph: file name '" + name + "'")));
  }
}

}  // namespace
}  // namespace mase
