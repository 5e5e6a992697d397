#include "mase/train/training_settings.h"

#include <string>
#include <vector>

#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TrainingSettingsTest, WhatIsNotSetHasItsDefault) {
  const auto settings = ValueOrDie(TrainingSettings::Create(RunConfig()));
  // The order and the names are those of checkpoints that are there already.
  EXPECT_EQ(settings.Text(300, 100),
            "training_optimizer=adam\nlearning_rate=1e-05\nweight_decay=0\nebops_weight=0\neta_min="
            "1e-06\n"
            "t_max=20\ntrainer_precision=32\nbatch_size=128\nshuffle=true\nmax_epochs=20\n"
            "max_steps=-1\nmax_batches=0\naccumulate_grad_batches=1\nseed=0\ntrain_rows=300\n"
            "validation_rows=100");
}

TEST(TrainingSettingsTest, SomeFollowFromOthers) {
  RunConfig config;
  config.set_training_optimizer("sgd");
  config.set_max_epochs(7);
  config.set_to_debug(true);
  config.set_trainer_precision("16-mixed");
  auto settings = ValueOrDie(TrainingSettings::Create(config));
  EXPECT_EQ(settings.schedule().floor, 0);
  EXPECT_EQ(settings.schedule().period, 7);
  EXPECT_EQ(settings.max_batches(), 1);
  EXPECT_EQ(settings.precision(), Precision::kFloat32);
  config.set_eta_min(1e-4);
  config.set_t_max(3);
  config.set_trainer_precision("bf16");
  settings = ValueOrDie(TrainingSettings::Create(config));
  EXPECT_EQ(settings.schedule().floor, 1e-4);
  EXPECT_EQ(settings.schedule().period, 3);
  EXPECT_EQ(settings.precision(), Precision::kBfloat16);
}

TEST(TrainingSettingsTest, RefusesValuesOutOfRange) {
  RunConfig config;
  config.set_batch_size(0);
  EXPECT_THAT(TrainingSettings::Create(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("batch_size: 0")));
}

TEST(TrainingSettingsTest, ComparisonKnowsWhatMayChange) {
  std::vector<std::string> said;
  const auto print = [&said](absl::string_view line) { said.emplace_back(line); };
  ASSERT_OK(CompareSettings("a=1\nmax_epochs=3\nlearning_rate=0.1", "max_epochs=5\nb=2", print));
  EXPECT_THAT(said, ElementsAre("now max_epochs=5, before 3"));
  EXPECT_THAT(CompareSettings("seed=1", "seed=2", print),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("cannot go on with seed=2, it was made with 1")));
}

}  // namespace
}  // namespace mase
