#include "mase/search/pruner.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Pruner> Make(PrunerSettings settings, PrunerSettings::Name name,
                             Direction direction = Direction::kMaximize) {
  settings.set_name(name);
  return ValueOrDie(MakePruner(std::move(settings), direction));
}

Trial At(int64_t number, std::map<int64_t, double> steps,
         TrialState state = TrialState::kComplete) {
  return {.number = number, .state = state, .intermediate = std::move(steps)};
}

TEST(PrunerTest, TheMedianPrunerEndsTheWorseHalf) {
  PrunerSettings settings;
  settings.set_n_startup_trials(3);
  const auto pruner = Make(settings, PrunerSettings::MEDIAN);
  TrialHistory history;
  history.Add(At(0, {{1, 0.2}, {2, 0.6}}));
  history.Add(At(1, {{1, 0.4}, {2, 0.7}}));
  EXPECT_FALSE(pruner->ShouldPrune(At(3, {{1, 0.1}}), history, {})) << "too few trials";
  history.Add(At(2, {{1, 0.3}, {2, 0.8}}));
  EXPECT_TRUE(pruner->ShouldPrune(At(3, {{1, 0.29}}), history, {}));
  EXPECT_FALSE(pruner->ShouldPrune(At(3, {{1, 0.3}}), history, {}));
  // Its best so far counts.
  EXPECT_FALSE(pruner->ShouldPrune(At(3, {{1, 0.7}, {2, 0.1}}), history, {}));
  EXPECT_TRUE(pruner->ShouldPrune(At(3, {{1, 0.6}, {2, 0.1}}), history, {}));
  EXPECT_FALSE(pruner->ShouldPrune(At(3, {{3, 0.0}}), history, {})) << "nobody came so far";
  EXPECT_TRUE(pruner->ShouldPrune(At(3, {{1, std::nan("")}}), history, {}));
}

TEST(PrunerTest, TheMedianPrunerWaitsForWarmUpAndInterval) {
  PrunerSettings settings;
  settings.set_n_startup_trials(1);
  settings.set_n_warmup_steps(2);
  settings.set_interval_steps(2);
  const auto pruner = Make(settings, PrunerSettings::MEDIAN, Direction::kMinimize);
  TrialHistory history;
  history.Add(At(0, {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}));
  std::vector<bool> pruned;
  for (int64_t step = 1; step <= 5; ++step) {
    pruned.push_back(pruner->ShouldPrune(At(1, {{step, 2}}), history, {}));
  }
  EXPECT_EQ(pruned, (std::vector<bool>{false, false, true, false, true}));
}

TEST(PrunerTest, SuccessiveHalvingLetsTheBestOfEveryFewGoOn) {
  PrunerSettings settings;
  settings.set_reduction_factor(2);
  const auto pruner = Make(settings, PrunerSettings::SUCCESSIVE_HALVING);
  TrialHistory history;
  EXPECT_FALSE(pruner->ShouldPrune(At(0, {{1, 0.1}}), history, {})) << "the first passes";
  for (int i = 0; i < 4; ++i) history.Add(At(i, {{1, 0.1 * i}}, TrialState::kPruned));
  // Two of five pass the rung at step 1: those at 0.3 and above, and what is better than 0.2.
  EXPECT_FALSE(pruner->ShouldPrune(At(9, {{1, 0.25}}), history, {}));
  EXPECT_TRUE(pruner->ShouldPrune(At(9, {{1, 0.15}}), history, {}));
  // Running ones compete, the trial itself does not.
  EXPECT_TRUE(pruner->ShouldPrune(At(9, {{1, 0.25}}), history,
                                  {At(7, {{1, 0.5}}), At(8, {{1, 0.6}}), At(9, {{1, 0.25}})}));
  // Step 3 is no rung; step 4 is, and nobody else came there.
  EXPECT_FALSE(pruner->ShouldPrune(At(9, {{1, 0.9}, {2, 0.9}, {3, 0.0}}), history, {}));
  EXPECT_FALSE(pruner->ShouldPrune(At(9, {{1, 0.9}, {2, 0.9}, {4, 0.0}}), history, {}));
}

TEST(PrunerTest, HyperbandsBracketsBeginAtDifferentSteps) {
  PrunerSettings settings;
  settings.set_reduction_factor(3);
  settings.set_max_resource(9);
  const auto pruner = Make(settings, PrunerSettings::HYPERBAND);
  TrialHistory history;
  for (int i = 0; i < 300; ++i) {
    history.Add(At(i, {{1, 0.5}, {3, 0.5}, {9, 0.5}}));
  }
  int at[10] = {};
  for (int i = 300; i < 900; ++i) {
    for (int64_t step : {1, 3, 9}) {
      if (!pruner->ShouldPrune(At(i, {{step, 0.1}}), history, {})) continue;
      ++at[step];
      break;
    }
  }
  // Brackets of 9, 5 and 3 trials; a bad trial ends at the first rung of its own.
  EXPECT_NEAR(at[1], 600 * 9 / 17.0, 50);
  EXPECT_NEAR(at[3], 600 * 5 / 17.0, 50);
  EXPECT_NEAR(at[9], 600 * 3 / 17.0, 50);
  settings.set_min_resource(10);
  settings.set_name(PrunerSettings::HYPERBAND);
  EXPECT_THAT(MakePruner(settings, Direction::kMaximize),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_resource 9")));
}

TEST(PrunerTest, NoneIsNoPruner) { EXPECT_EQ(Make({}, PrunerSettings::NONE), nullptr); }

}  // namespace
}  // namespace mase
