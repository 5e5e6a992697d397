#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TEST(MemoryTest, AFloatNetHasFourBytesANumber) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("memory", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("rows"), 8);
  EXPECT_EQ(run.result("total.weight_bytes"), 117 * 4);
  EXPECT_EQ(run.result("total.float_weight_bytes"), 117 * 4);
  EXPECT_EQ(run.result("total.buffer_bytes"), 32 * 4 + 8);  // Statistics, and a counter.
  EXPECT_EQ(run.result("total.checkpoint_bytes"), 149 * 4 + 8);
  EXPECT_GE(run.result("total.peak_activation_bytes"), 8 * 5 * 4);
}

TEST(MemoryTest, QuantizedWeightsArePacked) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run =
      RunPasses({MakePass("quantize", "rules { match: 'linear' config { format: 'integer 3/1' } }"),
                 MakePass("memory")},
                graph);
  ASSERT_OK(run.status);
  // 80 weights and 5 biases of 3 bits, each tensor filled up to bytes; the norm stays float.
  EXPECT_EQ(run.result("total.weight_bytes"), 32 * 4 + 30 + 2);
  EXPECT_EQ(run.result("total.float_weight_bytes"), 117 * 4);
  EXPECT_THAT(run.table("tensors"), HasSubstr("seq_blocks.2.weight,\"[5, 16]\",3,30,320,true\n"));
}

}  // namespace
}  // namespace mase
