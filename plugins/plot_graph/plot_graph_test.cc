#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(PlotGraphTest, TheNetIsAPictureColoredByFormats) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run =
      RunPasses({MakePass("quantize", "rules { match: 'linear' config { format: 'integer 8/4' } }"),
                 MakePass("plot_graph")},
                graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.artifacts.at("plot_graph/graph.svg"),
              AllOf(HasSubstr(">seq_blocks_2</text>"), HasSubstr(">LinearInteger</text>"),
                    HasSubstr(">[8, 5]</text>"),
                    HasSubstr(">integer data_in 8/4, weight 8/4, bias 8/4</text>")));
}

TEST(PlotGraphTest, TheFileIsInsideTheRunDirectory) {
  Graph graph = ParseGraph(kJscTiny);
  EXPECT_THAT(RunPass("plot_graph", "file_name: '../net.svg'", graph).status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("file name '../net.svg'")));
}

}  // namespace
}  // namespace mase
