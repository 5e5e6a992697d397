#include "mase/search/inheritance.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

class InheritanceTest : public ::testing::Test {
 protected:
  InheritanceTest() : folder_(::testing::TempDir() + "/inheritance") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  void AddTrial(int64_t number, Point point, TrialState state = TrialState::kComplete) {
    history_.Add({.number = number, .state = state, .point = std::move(point)});
  }

  // As a trial that was trained.
  void AddTrained(int64_t number, Point point, TrialState state = TrialState::kComplete) {
    AddTrial(number, std::move(point), state);
    const std::string made = folder_ + "/made";
    std::ofstream(made) << number;
    ASSERT_OK(KeepTrainedNet(made, folder_, number));
    EXPECT_FALSE(fs::exists(made));
  }

  std::optional<int64_t> Chosen(Point point) {
    Trial trial = {.number = 100, .point = std::move(point)};
    trial.attributes[kParent] = "77";  // Of a run that was cut short.
    ChooseParent(history_, folder_, trial);
    return ParentOf(trial);
  }

  const std::string folder_;
  TrialHistory history_;
};

TEST_F(InheritanceTest, TheFirstHasNoParent) { EXPECT_EQ(Chosen({0, 0}), std::nullopt); }

TEST_F(InheritanceTest, TheNearestIsTheParentAndOfSeveralTheNewest) {
  AddTrained(0, {0, 1, kInactive});
  AddTrained(1, {0, 2, kInactive});
  AddTrained(2, {1, 1, 3});
  EXPECT_EQ(Chosen({0, 2, kInactive}), 1);
  EXPECT_EQ(Chosen({0, 5, kInactive}), 1);
  EXPECT_EQ(Chosen({0, 1, 4}), 0);
  EXPECT_EQ(Chosen({7, 7, 7}), 2);
}

TEST_F(InheritanceTest, OnlyCompleteTrialsWhoseNetIsHereAreParents) {
  AddTrained(0, {5, 5});
  AddTrained(1, {0, 0}, TrialState::kFailed);
  AddTrained(2, {0, 0}, TrialState::kPruned);
  AddTrial(3, {0, 0});  // On another machine.
  EXPECT_EQ(Chosen({0, 0}), 0);
}

TEST_F(InheritanceTest, KeepsTheNewestNetsAndThoseInUse) {
  const auto most = static_cast<int64_t>(kMostTrainedNets);
  AddTrained(0, {1, 1});
  AddTrained(1, {2, 2});
  AddTrained(2, {3, 3}, TrialState::kFailed);
  for (int64_t i = 3; i < 3 + most; ++i) AddTrained(i, {0, 0});
  const std::string made = folder_ + "/made";
  std::ofstream(made) << "of a trial that has not ended";
  ASSERT_OK(KeepTrainedNet(made, folder_, 3 + most));
  // Too old to inherit from, though nearest.
  EXPECT_EQ(Chosen({2, 2}), 2 + most);
  DropTrainedNets(history_, {1, 1}, folder_);
  const auto kept = [this](int64_t number) { return fs::exists(TrainedNetPath(folder_, number)); };
  EXPECT_FALSE(kept(0));
  EXPECT_TRUE(kept(1));
  EXPECT_FALSE(kept(2));
  for (int64_t i = 3; i < 4 + most; ++i) EXPECT_TRUE(kept(i)) << i;
  DropTrainedNets(history_, {}, folder_ + "/none");
}

TEST_F(InheritanceTest, WhatIsNoNumberIsNoParent) {
  Trial trial;
  EXPECT_EQ(ParentOf(trial), std::nullopt);
  for (const char* text : {"", "null", "-1", "\"3\"", "1e3"}) {
    trial.attributes[kParent] = text;
    EXPECT_EQ(ParentOf(trial), std::nullopt) << text;
  }
}

TEST_F(InheritanceTest, ANetThatCannotBeKeptIsNamed) {
  EXPECT_THAT(KeepTrainedNet(folder_ + "/none", folder_, 4),
              StatusIs(absl::StatusCode::kUnavailable,
                       ::testing::HasSubstr("weights/4.safetensors: cannot keep the trained net")));
}

}  // namespace
}  // namespace mase
