#include "mase/train/width_penalty.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/exec/executor.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/quantize/cost.h"
#include "mase/testing/matchers.h"
#include "mase/train/testing_data.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kNet[] = "BN, ReLU, Linear 32, ReLU, Linear 5";
constexpr char kLearned[] =
    "integer { width: 8 frac_width: 5 is_signed: true learned_width: true }";

TEST(WidthPenaltyTest, IsTheProductOfTheBitsAndHasItsGradient) {
  FreshModel fresh = BuildFresh(kNet, LinearJets());
  QuantizeNodes("linear", kLearned, fresh.graph, {"data_in", "weight"});
  const auto executor = ValueOrDie(Executor::Create(fresh.graph));
  const auto penalty =
      ValueOrDie(WidthPenalty::Create(fresh.graph, executor->parameter_slots(), 0.5));
  std::vector<float> parameters(executor->parameters().begin(), executor->parameters().end());
  const auto value = [&] { return penalty.Value<float>(parameters); };
  // 16 * 32 + 32 * 5 products of 7 by 7 bits, signs aside.
  EXPECT_EQ(value(), 0.5 * 672 * 49);

  int learned = 0;
  for (const TensorSlot& slot : executor->parameter_slots()) {
    std::vector<float> gradients(parameters.size(), 1);
    penalty.AddGradient<float>(parameters, absl::MakeSpan(gradients));
    const float before = parameters[slot.offset];
    const double at = value();
    parameters[slot.offset] = before + 0.25f;
    EXPECT_NEAR(gradients[slot.offset] - 1, (value() - at) / 0.25, 1e-3) << slot.name;
    learned += value() != at;
    parameters[slot.offset] = before;
  }
  EXPECT_EQ(learned, 4);

  // A width that is at its least is not pushed further.
  for (const TensorSlot& slot : executor->parameter_slots()) {
    if (slot.name != "seq_blocks_2.weight_frac_width") continue;
    parameters[slot.offset] = -40;
    std::vector<float> gradients(parameters.size(), 0);
    penalty.AddGradient<float>(parameters, absl::MakeSpan(gradients));
    EXPECT_EQ(gradients[slot.offset], 0);
    EXPECT_EQ(value(), 0.5 * (512 * 7 * 1 + 160 * 49));
    penalty.Clamp<float>(absl::MakeSpan(parameters));
    EXPECT_EQ(parameters[slot.offset], -1);
  }
}

TEST(WidthPenaltyTest, WantsALayerThatLearns) {
  FreshModel fresh = BuildFresh(kNet, LinearJets());
  const auto create = [&fresh](double weight) {
    const auto executor = ValueOrDie(Executor::Create(fresh.graph));
    return WidthPenalty::Create(fresh.graph, executor->parameter_slots(), weight).status();
  };
  EXPECT_OK(create(0));
  EXPECT_THAT(create(1e-6), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("no layer has an integer input and weight")));
  QuantizeNodes("linear", kLearned, fresh.graph, {"weight"});  // The input stays float.
  EXPECT_THAT(create(1e-6),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("learned_width")));
  QuantizeNodes("linear", "integer { width: 8 frac_width: 5 }", fresh.graph, {"data_in", "weight"});
  EXPECT_THAT(create(1e-6),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("learned_width")));
}

// At this rate all widths leave their ranges, and come back after the interruption or not.
TEST(WidthPenaltyTest, ATrainingThatGoesOnIsTheSame) {
  const Dataset dataset = LinearJets(1000, 200);
  const auto make = [&dataset](TrainerOptions options) {
    FreshModel fresh = BuildFresh(kNet, dataset);
    QuantizeNodes("linear", kLearned, fresh.graph, {"data_in", "weight"});
    return ValueOrDie(Trainer::Create(std::move(fresh.graph), dataset, fresh.generator, options));
  };
  const TrainerOptions options =
      OptionsWith("learning_rate: 0.5 batch_size: 64 max_epochs: 4 ebops_weight: 1e-6");
  const std::string whole = EmptyTestFolder("whole"), parts = EmptyTestFolder("parts");
  EXPECT_OK(ValueOrDie(make(options)->Run(whole)).ending);
  TrainerOptions first = options;
  first.goes_on = [](const EpochRecord& record) { return record.epoch < 1; };
  EXPECT_THAT(ValueOrDie(make(first)->Run(parts)).ending, StatusIs(absl::StatusCode::kCancelled));
  const auto second = make(options);
  ASSERT_OK(second->Restore(parts));
  EXPECT_OK(ValueOrDie(second->Run(parts)).ending);
  for (const char* file : {"/best.safetensors", "/last.safetensors"}) {
    EXPECT_EQ(ValueOrDie(ReadFile(whole + file, 1 << 24)),
              ValueOrDie(ReadFile(parts + file, 1 << 24)))
        << file;
  }
}

struct Outcome {
  int64_t ebops = 0;
  int64_t correct = 0;
};

Outcome TrainWith(const std::string& weight) {
  const Dataset dataset = LinearJets();
  FreshModel fresh = BuildFresh(kNet, dataset);
  QuantizeNodes("linear", kLearned, fresh.graph, {"data_in", "weight"});
  const std::string folder = EmptyTestFolder("run" + weight);
  const auto trainer = ValueOrDie(Trainer::Create(
      std::move(fresh.graph), dataset, fresh.generator,
      OptionsWith("learning_rate: 3e-2 batch_size: 128 max_epochs: 20 ebops_weight: " + weight)));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));
  EXPECT_OK(result.ending);
  const Checkpoint best = ValueOrDie(LoadCheckpoint(folder + "/best.safetensors"));
  const InferredShapes shapes = ValueOrDie(InferShapesFor(*best.graph, 1));
  Outcome outcome;
  for (const NodeCost& cost : ValueOrDie(CostsOf(*best.graph, shapes))) {
    outcome.ebops += cost.ebops.value_or(0);
  }
  outcome.correct = result.history[result.best_epoch].val_correct;
  return outcome;
}

// The more they cost, the fewer bits training keeps; and those that it keeps are worth having.
TEST(WidthPenaltyTest, TrainingGivesUpBitsForTheirCost) {
  const Outcome free = TrainWith("0"), cheap = TrainWith("3e-6"), dear = TrainWith("1e-4");
  EXPECT_LT(cheap.ebops, free.ebops);
  EXPECT_LT(dear.ebops, cheap.ebops);
  EXPECT_LT(dear.ebops, free.ebops / 4);
  EXPECT_GT(cheap.correct, free.correct - 100);  // Of 1,000.
  RecordProperty("ebops", absl::StrCat(free.ebops, " ", cheap.ebops, " ", dear.ebops));
  RecordProperty("correct", absl::StrCat(free.correct, " ", cheap.correct, " ", dear.correct));
}

}  // namespace
}  // namespace mase
