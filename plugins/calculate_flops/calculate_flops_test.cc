#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// The net of a course report, whose table this is.
Graph JscCustom() {
  return ValueOrDie(
      BuildModel({.model = "BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 16, BN, "
                           "ReLU, Dropout 0.2, Linear 5, BN, ReLU",
                  .input = {16},
                  .classes = 5,
                  .batch = 8}));
}

TEST(CalculateFlopsTest, EveryRowOfTheReport) {
  Graph graph = JscCustom();
  const PassRun run = RunPass("calculate_flops", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("costs"),
            "node,op,parameters,forward,backward,rule\n"
            "x,placeholder,0,0,0,\n"
            "seq_blocks_0,batch_norm1d,32,512,512,published\n"
            "seq_blocks_1,relu,0,128,128,published\n"
            "seq_blocks_2,linear,512,4096,8192,published\n"
            "seq_blocks_3,batch_norm1d,64,1024,1024,published\n"
            "seq_blocks_4,relu,0,256,256,published\n"
            "seq_blocks_5,dropout,0,0,0,\n"
            "seq_blocks_6,linear,512,4096,8192,published\n"
            "seq_blocks_7,batch_norm1d,32,512,512,published\n"
            "seq_blocks_8,relu,0,128,128,published\n"
            "seq_blocks_9,dropout,0,0,0,\n"
            "seq_blocks_10,linear,80,640,1280,published\n"
            "seq_blocks_11,batch_norm1d,10,160,160,published\n"
            "seq_blocks_12,relu,0,40,40,published\n"
            "output,output,0,0,0,\n");
  EXPECT_EQ(run.result("rows"), 8);
  EXPECT_EQ(run.result("total.parameters"), 1242);
  EXPECT_EQ(run.result("total.forward"), 11592);
  EXPECT_EQ(run.result("total.backward"), 20424);
  EXPECT_THAT(run.printed, HasSubstr("Total of a batch of 8: parameters 1242, forward 11592, "
                                     "backward 20424\n"));
  EXPECT_FALSE(run.changed());
}

TEST(CalculateFlopsTest, TheOtherConventionCountsAMultiplyAccumulateTwice) {
  Graph graph = ValueOrDie(BuildModel(
      {.model = "BN, ReLU, Linear 64, BN, ReLU, Linear 40, BN, ReLU, Linear 10, BN, ReLU, Linear "
                "5, BN, ReLU",
       .input = {16},
       .classes = 5,
       .batch = 8}));
  const PassRun run = RunPass("calculate_flops", "convention: FLOP", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("total.flops"), 67784);
  EXPECT_EQ(run.result("total.parameters"), 4423);
  EXPECT_THAT(run.table("costs"), HasSubstr("seq_blocks_2,linear,1088,16384,published\n"));
}

TEST(CalculateFlopsTest, RulesOfOurOwnAreMarked) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 4]
gelu = gelu(x)
output = output(gelu)
)");
  const PassRun run = RunPass("calculate_flops", "", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.table("costs"), HasSubstr("gelu,gelu,0,32,32,ours\n"));
}

TEST(CalculateFlopsTest, RowsAreThoseOfTheRunsBatch) {
  Graph graph = ParseGraph(kJscTiny);
  ASSERT_OK(InferShapes(graph, 128));
  const PassRun run = RunPass("calculate_flops", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("rows"), 128);
  EXPECT_EQ(run.result("total.forward"), 16 * 1320);
}

}  // namespace
}  // namespace mase
