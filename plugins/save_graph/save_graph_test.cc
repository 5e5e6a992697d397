#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kLinear84[] = "rules { match: 'linear' config { format: 'integer 8/4' } }";

TEST(SaveGraphTest, WhatIsSavedIsLoaded) {
  TestHost host;
  Graph graph = ParseGraph(kJscTiny);
  const PassRun saved =
      RunPasses({MakePass("quantize", kLinear84), MakePass("save_graph")}, graph, host);
  ASSERT_OK(saved.status);
  EXPECT_FALSE(saved.changed());
  ASSERT_EQ(host.graphs.count("saved_graph/graph.safetensors"), 1u);
  EXPECT_THAT(host.artifacts.at("saved_graph/node_meta_param.toml"),
              HasSubstr("[seq_blocks_2.common.args.weight]\nshape = [5, 16]\n"
                        "torch_dtype = \"float32\"\ntype = \"integer\"\nprecision = [8, 4]\n"));

  Graph again = ParseGraph(kJscTiny);
  const PassRun loaded =
      RunPasses({MakePass("load_graph", "load_dir: 'saved_graph'")}, again, host);
  ASSERT_OK(loaded.status);
  EXPECT_TRUE(loaded.changed());
  EXPECT_EQ(again.FindNode("seq_blocks_2")->TypeName(), "LinearInteger");
}

TEST(SaveGraphTest, MasesNamesAreTheSamePasses) {
  TestHost host;
  Graph graph = ParseGraph(kJscTiny);
  ASSERT_OK(RunPasses({MakePass("save_mase_graph", "save_dir: 'mine'")}, graph, host).status);
  EXPECT_EQ(host.graphs.count("mine/graph.safetensors"), 1u);
  EXPECT_THAT(RunPasses({MakePass("load_mase_graph")}, graph, host).status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("load_dir is required")));
}

TEST(SaveGraphTest, ANetOfOtherShapesIsRefused) {
  TestHost host;
  Graph other = ParseGraph("x = placeholder() : f32[8, 3]\na = relu(x)\noutput = output(a)\n");
  ASSERT_OK(RunPasses({MakePass("save_graph")}, other, host).status);
  Graph graph = ParseGraph(kJscTiny);
  EXPECT_THAT(RunPasses({MakePass("load_graph", "load_dir: 'saved_graph'")}, graph, host).status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("makes [8, 3] -> [8, 3], but the run's net makes [8, 16] -> "
                                 "[8, 5]")));
}

TEST(SaveGraphTest, WhatIsNotThereIsNotFound) {
  Graph graph = ParseGraph(kJscTiny);
  EXPECT_THAT(RunPass("load_graph", "load_dir: 'nowhere'", graph).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
}

}  // namespace
}  // namespace mase
