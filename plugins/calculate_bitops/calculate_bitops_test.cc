#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kOfReport001[] =
    "BN, ReLU, Linear 64, BN, ReLU, Linear 40, BN, ReLU, Linear 10, BN, ReLU, Linear 5, BN, ReLU";
constexpr char kOfReport003[] =
    "BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 16, BN, ReLU, Dropout 0.2, Linear 5, BN, "
    "ReLU";
constexpr char kInteger84[] = R"pb(
  rules {
    match: "linear"
    config {
      name: "integer"
      data_in { width: 8 frac_width: 4 }
      weight { width: 8 frac_width: 4 }
      bias { width: 8 frac_width: 4 }
    }
  }
)pb";

Graph Net(const std::string& model) {
  return ValueOrDie(BuildModel({.model = model, .input = {16}, .classes = 5, .batch = 8}));
}

TEST(CalculateBitopsTest, EveryRowOfTheReport) {
  Graph graph = Net(kOfReport003);
  const PassRun run = RunPass("calculate_bitops", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.table("costs"),
            "node,op,forward_bitops,backward_bitops,ebops\n"
            "x,placeholder,0,0,\n"
            "seq_blocks_0,batch_norm1d,524288,524288,\n"
            "seq_blocks_1,relu,4096,4096,\n"
            "seq_blocks_2,linear,4194304,8388608,\n"
            "seq_blocks_3,batch_norm1d,1048576,1048576,\n"
            "seq_blocks_4,relu,8192,8192,\n"
            "seq_blocks_5,dropout,0,0,\n"
            "seq_blocks_6,linear,4194304,8388608,\n"
            "seq_blocks_7,batch_norm1d,524288,524288,\n"
            "seq_blocks_8,relu,4096,4096,\n"
            "seq_blocks_9,dropout,0,0,\n"
            "seq_blocks_10,linear,655360,1310720,\n"
            "seq_blocks_11,batch_norm1d,163840,163840,\n"
            "seq_blocks_12,relu,1280,1280,\n"
            "output,output,0,0,\n");
  EXPECT_EQ(run.result("total.forward_bitops"), 11322624);
  EXPECT_EQ(run.result("total.backward_bitops"), 20366592);
  EXPECT_EQ(run.result("total.ebops"), -1);  // A float net has none.
}

TEST(CalculateBitopsTest, StoredBitsAreWhatTheOtherReportCalledBitOps) {
  Graph graph = Net(kOfReport001);
  const PassRun run = RunPass("calculate_bitops", "convention: FLOP", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("total.bits"), 162368);
}

TEST(CalculateBitopsTest, AQuantizedNetHasItsOwnWidths) {
  const auto bits = [](const char* options) {
    Graph graph = Net(kOfReport001);
    const PassRun run =
        RunPasses({MakePass("quantize", kInteger84), MakePass("calculate_bitops", options)}, graph);
    EXPECT_OK(run.status);
    return run.result("total.bits");
  };
  EXPECT_EQ(bits("convention: FLOP"), 40592);
  EXPECT_EQ(bits("convention: FLOP semantics: REFERENCE"), 60888);
}

TEST(CalculateBitopsTest, EffectiveBitsStandBesideThem) {
  Graph graph = ParseGraph(kJscTiny);
  graph.MutableTensor("seq_blocks.2.weight")->mutable_data<float>()[0] = 0.3125f;  // 101 / 16
  const PassRun run =
      RunPasses({MakePass("quantize", kInteger84), MakePass("calculate_bitops")}, graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.table("costs"), HasSubstr("seq_blocks_2,linear,40960,81920,168\n"));
  EXPECT_EQ(run.result("total.ebops"), 8 * 7 * 3);
  EXPECT_THAT(run.printed, HasSubstr("ebops 168"));
}

TEST(CalculateBitopsTest, WhatMaseCannotAddUpIsAnError) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run =
      RunPasses({MakePass("quantize", "rules { match: 'linear' config { format: 'ternary { }' } }"),
                 MakePass("calculate_bitops", "semantics: REFERENCE")},
                graph);
  EXPECT_THAT(run.status, StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("seq_blocks_2: weight: MASE cannot add up")));
}

}  // namespace
}  // namespace mase
