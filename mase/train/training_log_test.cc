#include "mase/train/training_log.h"

#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "mase/base/files.h"
#include "mase/interop/tensorboard.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class TrainingLogTest : public ::testing::Test {
 protected:
  TrainingLogTest()
      : directory_(::testing::TempDir() + "/" +
                   ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }

  TrainingLog Open(int64_t step = 0, int64_t epoch = 0) {
    return ValueOrDie(TrainingLog::Open(
        {directory_, "net, run a", step, epoch, [this] { return time_ += 0.5; }}));
  }

  std::string Contents(const std::string& name) {
    return ValueOrDie(ReadFile(directory_ + "/" + name, 1 << 20));
  }

  std::vector<tensorboard::Event> Events(const TrainingLog& log) {
    return ValueOrDie(ParseEvents(Contents(log.Files()[2])));
  }

  double time_ = 1000;
  const std::string directory_;
};

TEST_F(TrainingLogTest, EachWriteIsALineAndAnEvent) {
  TrainingLog log = Open();
  log.Write(49, 0, {{"train_loss_step", 0.1f}, {"lr-Adam", 0.25f}});
  log.Write(99, 1, {{"val_acc_epoch", NAN}});
  ASSERT_OK(log.Flush());
  const std::string metrics = Contents("metrics.jsonl");
  EXPECT_THAT(metrics, HasSubstr("{\"step\": 49, \"epoch\": 0, \"time\": 1001.5, "
                                 "\"train_loss_step\": 0.10000000149011612, \"lr-Adam\": 0.25}\n"));
  EXPECT_THAT(metrics, EndsWith("\"val_acc_epoch\": null}\n"));

  const auto events = Events(log);
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[1].step(), 49);
  EXPECT_EQ(events[1].wall_time(), 1001.5);
  EXPECT_EQ(events[1].summary().value(0).tag(), "train_loss_step");
  EXPECT_EQ(events[1].summary().value(2).tag(), "epoch");
  EXPECT_EQ(events[2].summary().value(1).simple_value(), 1);
}

TEST_F(TrainingLogTest, HistoryHasOneLinePerEpoch) {
  TrainingLog log = Open();
  ASSERT_OK(log.WriteEpoch({0, 0.01, 1.5, 1.25, 0.5, 5, 10, 0.12345}));
  ASSERT_OK(log.WriteEpoch({1, 0.005, NAN, 1, 0.75f, 8, 10, 2}));
  EXPECT_EQ(Contents("history.csv"),
            "epoch,lr,train_loss,val_loss,val_acc,val_correct,val_total,seconds\n"
            "0,0.01,1.5,1.25,0.5,5,10,0.123\n"
            "1,0.005,nan,1,0.75,8,10,2\n");
}

TEST_F(TrainingLogTest, AResumedRunDropsWhatItWillWriteAnew) {
  {
    TrainingLog log = Open();
    for (int64_t step : {9, 19, 29}) log.Write(step, step / 20, {{"a", static_cast<float>(step)}});
    for (int64_t epoch : {0, 1}) ASSERT_OK(log.WriteEpoch({epoch, 1, 2, 3, 0.5, 1, 2, 4}));
  }
  TrainingLog log = Open(20, 1);
  EXPECT_THAT(log.history(), SizeIs(1));
  log.Write(29, 1, {{"a", -29.0f}});
  ASSERT_OK(log.Flush());
  std::vector<float> values;
  for (const auto& event : Events(log)) {
    if (event.has_summary()) values.push_back(event.summary().value(0).simple_value());
  }
  EXPECT_THAT(values, ElementsAre(9, 19, -29));
  EXPECT_THAT(Contents("metrics.jsonl"), HasSubstr("\"a\": -29}"));
  EXPECT_EQ(Open(30, 2).Files()[2], log.Files()[2]) << "one event file per run";
}

TEST_F(TrainingLogTest, ALineThatACrashCutIsDroppedAndDamageBeforeItIsNamed) {
  ASSERT_OK(WriteFileAtomically(directory_ + "/metrics.jsonl",
                                "{\"step\": 1, \"epoch\": 0, \"time\": 1}\n{\"step\": 2, \"ep"));
  Open(10, 1);
  EXPECT_EQ(Contents("metrics.jsonl"), "{\"step\": 1, \"epoch\": 0, \"time\": 1}\n");

  ASSERT_OK(WriteFileAtomically(directory_ + "/metrics.jsonl",
                                "{\"step\": 1, \"epoch\": 0, \"time\": 1}\n{\"step\": 2}\n"));
  EXPECT_THAT(TrainingLog::Open({.directory = directory_, .step = 10, .epoch = 1}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("metrics.jsonl:2: ")));
}

TEST_F(TrainingLogTest, WhatIsMissingOfTheEarlierPartIsTold) {
  {
    TrainingLog log = Open();
    EXPECT_EQ(log.lost(), "");
    log.Write(9, 0, {{"a", 1.0f}});
    for (int64_t epoch : {0, 1}) ASSERT_OK(log.WriteEpoch({epoch, 1, 2, 3, 0.5, 1, 2, 4}));
  }
  EXPECT_EQ(Open(20, 2).lost(), "");
  EXPECT_EQ(Open(20, 3).lost(), directory_ + "/history.csv has 2 of the 3 epochs that have ended");
  ASSERT_OK(WriteFileAtomically(directory_ + "/metrics.jsonl", ""));
  EXPECT_EQ(Open(20, 2).lost(), directory_ + "/metrics.jsonl has no line");
}

TEST_F(TrainingLogTest, DamagedHistoryIsNamed) {
  for (const std::string line : {"0,1,2", "0,1,2,3,4,5,6,x", "a,1,2,3,4,5,6,7"}) {
    ASSERT_OK(WriteFileAtomically(
        directory_ + "/history.csv",
        "epoch,lr,train_loss,val_loss,val_acc,val_correct,val_total,seconds\n" + line + "\n"));
    EXPECT_THAT(TrainingLog::Open({.directory = directory_, .step = 10, .epoch = 1}),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("history.csv:2: ")));
  }
}

TEST_F(TrainingLogTest, CurvesAreFilesOfTheRun) {
  TrainingLog log = Open();
  for (int64_t epoch : {0, 1}) ASSERT_OK(log.WriteEpoch({epoch, 1, 2, 3, 0.5, 1, 2, 4}));
  ASSERT_OK(log.WriteCurves());
  EXPECT_THAT(log.Files(), ::testing::IsSupersetOf({"loss.svg", "accuracy.svg", "history.csv"}));
  EXPECT_THAT(Contents("loss.svg"), HasSubstr(">net, run a: loss</text>"));
  for (const std::string& file : log.Files()) {
    EXPECT_TRUE(std::filesystem::exists(directory_ + "/" + file)) << file;
  }
}

TEST(TrainingLogNumbersTest, AreAsPythonPrintsThem) {
  EXPECT_EQ(ShortestNumber(0.5499944090843201), "0.5499944090843201");
  EXPECT_EQ(ShortestNumber(108548.0f / 197362.0f), "0.5499944090843201");
  EXPECT_EQ(ShortestNumber(1e-5), "1e-05");
  EXPECT_EQ(ShortestNumber(-NAN), "nan");
}

TEST_F(TrainingLogTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(TrainingLog::Open({.directory = directory_ + "/none"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none/")));
}

}  // namespace
}  // namespace mase
