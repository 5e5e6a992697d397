#include "mase/run/sweep_table.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

SweepRow RowOf(const std::string& run, const std::string& report_text) {
  RunReport report;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(report_text, &report)) << report_text;
  SweepRow row = {.run = run};
  FillSweepRow(report, row);
  return row;
}

SweepPoints Points() {
  return {{"batch_size", "model"}, {{"64", "jsc-tiny"}, {"256", "jsc-tiny"}, {"64", "BN, ReLU"}}};
}

std::vector<SweepRow> Rows() {
  return {RowOf("a", R"(status: "ok" seconds: 1.5
                        metrics { name: "accuracy" stage: "best" split: "test" value: 0.75 }
                        metrics { name: "loss" stage: "best" split: "test" value: 0.5 })"),
          RowOf("b", R"(status: "failed" error: "disk full")"),
          {.run = "c"}};
}

TEST(SweepTableTest, FiguresAreThoseOfTheNetThatTheRunLeft) {
  const SweepRow row = RowOf("r", R"(
      status: "ok" best_epoch: 1
      metrics { name: "accuracy" stage: "original" split: "test" value: 0.7 }
      metrics { name: "accuracy" stage: "transformed" split: "test" value: 0.5 }
      metrics { name: "loss" stage: "epoch 0" split: "train" value: 9 }
      metrics { name: "loss" stage: "epoch 1" split: "train" value: 0.25 }
      metrics { name: "accuracy" stage: "epoch 1" split: "validation" value: 0.625 }
      metrics { name: "f1" stage: "best" split: "test" value: 0.5 }
      metrics { name: "accuracy" stage: "best" split: "test" value: 0.6 }
      metrics { name: "loss" stage: "best" split: "test" })");
  EXPECT_THAT(row.figures, ElementsAre(Pair("accuracy", 0.6), Pair("train_loss", 0.25),
                                       Pair("validation_accuracy", 0.625),
                                       Pair("original_accuracy", 0.7), Pair("f1", 0.5)));
}

TEST(SweepTableTest, WhatPassesFoundAreColumnsByTheirWayInTheReport) {
  const SweepRow row = RowOf("r", R"(
      status: "ok"
      metrics { name: "accuracy" stage: "transformed" split: "test" value: 0.7 }
      passes { name: "calculate_bitops" result { fields { key: "total" value { struct_value {
        fields { key: "forward_bitops" value { number_value: 5120 } }
        fields { key: "backward_bitops" value { number_value: 10240 } } } } }
        fields { key: "convention" value { string_value: "MAC" } } } }
      passes { name: "memory" label: "small" result { fields {
        key: "weight_bytes" value { number_value: 85 } } } })");
  EXPECT_THAT(row.figures, ElementsAre(Pair("accuracy", 0.7),
                                       Pair("calculate_bitops.total.backward_bitops", 10240),
                                       Pair("calculate_bitops.total.forward_bitops", 5120),
                                       Pair("small.weight_bytes", 85)));
}

TEST(SweepTableTest, EveryPointIsARowWithItsSettingsFiguresAndError) {
  EXPECT_EQ(SweepTable("train", Points(), Rows()).Csv(),
            "batch_size,model,accuracy,loss,seconds,status,run,error\n"
            "64,jsc-tiny,0.75,0.5,1.5,ok,a,\n"
            "256,jsc-tiny,,,,failed,b,disk full\n"
            "64,\"BN, ReLU\",,,,waiting,c,\n");
  EXPECT_THAT(SweepTable("train", Points(), Rows()).Text(),
              StartsWith("Sweep of train: 3 runs\nbatch_size  model"));
}

TEST(SweepTableTest, ColumnsAreCalledByTheEndsOfTheirSettings) {
  const std::vector<SweepRow> row(1);
  const auto head = [&](const std::vector<std::string>& settings) {
    const SweepPoints points = {settings, {std::vector<std::string>(settings.size(), "1")}};
    return SweepTable("train", points, row).Csv();
  };
  EXPECT_THAT(head({"passes.q.linear.width", "seed"}), StartsWith("width,seed,"));
  EXPECT_THAT(head({"a.linear.width", "a.conv2d.width"}), StartsWith("linear.width,conv2d.width,"));
  EXPECT_THAT(head({"width", "a.width"}), StartsWith("width,a.width,"));
}

TEST(SweepTableTest, JsonHasNumbersAsNumbers) {
  const std::string json = SweepJson("train", Points(), Rows());
  EXPECT_THAT(json, HasSubstr("\"batch_size\": 64"));
  EXPECT_THAT(json, HasSubstr("\"model\": \"jsc-tiny\""));
  EXPECT_THAT(json, HasSubstr("\"accuracy\": 0.75"));
  EXPECT_THAT(json, HasSubstr("\"error\": \"disk full\""));
}

TEST(SweepTableTest, TwoSettingsAreAHeatMapOthersCurves) {
  EXPECT_THAT(SweepPlot("train", Points(), Rows()), HasSubstr("#eee"));  // A gap.
  SweepPoints one = {{"learning_rate"}, {{"1e-2"}, {"1e-4"}, {"1e-3"}}};
  std::vector<SweepRow> rows(3);
  EXPECT_EQ(SweepPlot("train", one, rows), "");
  for (int i = 0; i < 3; ++i) rows[i].figures = {{"loss", 0.5 * i}};
  const std::string curves = SweepPlot("train", one, rows);
  EXPECT_THAT(curves, HasSubstr("polyline"));
  EXPECT_THAT(curves, HasSubstr(">loss<"));
  // From left to right by size.
  EXPECT_LT(curves.find(">1e-4<"), curves.find(">1e-3<"));
  EXPECT_LT(curves.find(">1e-3<"), curves.find(">1e-2<"));
  SweepPoints three = {{"a", "b", "c"}, {{"1", "x", "y"}, {"2", "x", "y"}, {"1", "x", "z"}}};
  EXPECT_THAT(SweepPlot("train", three, rows), HasSubstr("b=x, c=y"));
}

}  // namespace
}  // namespace mase
