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
