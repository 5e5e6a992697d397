#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TEST(SummaryTest, LayersWithShapesParametersAndMacs) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("summary", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("layers"),
            "layer,type,output shape,parameters,MACs\n"
            "x,input,\"[8, 16]\",0,0\n"
            "seq_blocks_0,BatchNorm1d,\"[8, 16]\",32,0\n"
            "seq_blocks_1,ReLU,\"[8, 16]\",0,0\n"
            "seq_blocks_2,Linear,\"[8, 5]\",85,640\n"
            "seq_blocks_3,ReLU,\"[8, 5]\",0,0\n");
  EXPECT_EQ(run.result("total.parameters"), 117);
  EXPECT_EQ(run.result("total.buffers"), 33);
  EXPECT_EQ(run.result("total.macs"), 640);
  EXPECT_EQ(run.result("total.input_bytes"), 512);
  EXPECT_EQ(run.result("total.result_bytes"), 512 + 512 + 160 + 160);
  EXPECT_THAT(run.printed, HasSubstr("Trained parameters 117 (468 bytes in float32)"));
}

TEST(SummaryTest, ResNet18IsTorchinfos) {
  // torchinfo: 11,689,512 parameters; a sample of 3 x 224 x 224 takes 1.81 G multiply-adds.
  Graph graph = ValueOrDie(
      BuildModel({.model = "resnet18", .input = {3, 224, 224}, .classes = 1000, .batch = 1}));
  const PassRun run = RunPass("summary", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("total.parameters"), 11689512);
  EXPECT_EQ(run.result("total.macs"), 1814073344);
}

}  // namespace
}  // namespace mase
