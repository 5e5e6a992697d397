#include "mase/train/width_penalty.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/exec/evaluation.h"
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

std::string LearnedOf(absl::string_view what) {
  return absl::StrCat("integer { width: 8 frac_width: 5 is_signed: true learned_width: \"", what,
                      "\" }");
}

// Inputs with one width, weights with widths `of` tensors, channels or single weights.
FreshModel BuildLearned(const Dataset& dataset, absl::string_view of) {
  FreshModel fresh = BuildFresh(kNet, dataset);
  QuantizeNodes("linear", LearnedOf("tensor"), fresh.graph, {"data_in", "weight"});
  for (Node* node : fresh.graph.NodesInOrder()) {
    if (node->quantization() == nullptr) continue;
    Quantization record = *node->quantization();
    IntegerFormat& weight = *record.mutable_operand(1)->mutable_format()->mutable_integer();
    weight.set_learned_width(std::string(of));
    fresh.graph.SetQuantization(node, record);
  }
  return fresh;
}

TEST(WidthPenaltyTest, IsTheProductOfTheBitsAndHasItsGradient) {
  for (const char* of : {"tensor", "channel", "weight"}) {
    const FreshModel fresh = BuildLearned(LinearJets(), of);
    const auto executor = ValueOrDie(Executor::Create(fresh.graph));
    const auto penalty =
        ValueOrDie(WidthPenalty::Create(fresh.graph, executor->parameter_slots(), 0.5));
    std::vector<float> parameters(executor->parameters().begin(), executor->parameters().end());
    const auto value = [&] { return penalty.Value<float>(parameters); };
    const auto slot_of = [&](absl::string_view name) {
      for (const TensorSlot& slot : executor->parameter_slots()) {
        if (slot.name == name) return slot;
      }
      return TensorSlot{};
    };
    for (const char* name : {"seq_blocks.2.weight", "seq_blocks.4.weight"}) {
      const TensorSlot slot = slot_of(name);
      ASSERT_GT(slot.shape.elements(), 0) << name;
      for (int64_t i = 0; i < slot.shape.elements(); ++i) parameters[slot.offset + i] = -0.5f;
    }
    // 16 * 32 + 32 * 5 products of 7 bits, signs aside, with the half of a weight: 5 bits from its
    // one on.
    EXPECT_DOUBLE_EQ(value(), 0.5 * 672 * 7 * 5);
    // A quarter has one less, what rounds to 0 none, what is cut at 4 all 7.
    const int64_t weight = slot_of("seq_blocks.2.weight").offset;
    parameters[weight] = 0.25f;
    EXPECT_DOUBLE_EQ(value(), 0.5 * (672 * 7 * 5 - 7));
    parameters[weight] = std::ldexp(1.0f, -6);
    EXPECT_DOUBLE_EQ(value(), 0.5 * (672 * 7 * 5 - 7 * 5));
    parameters[weight] = 100;
    EXPECT_DOUBLE_EQ(value(), 0.5 * (672 * 7 * 5 + 7 * 2));
    parameters[weight] = 0;

    int learned = 0;
    for (const TensorSlot& slot : executor->parameter_slots()) {
      std::vector<float> gradients(parameters.size(), 1);
      penalty.AddGradient<float>(parameters, absl::MakeSpan(gradients));
      if (!absl::EndsWith(slot.name, "_frac_width")) continue;
      for (int64_t i = slot.offset; i < slot.offset + slot.shape.elements(); ++i) {
        const float before = parameters[i];
        const double at = value();
        parameters[i] = before - 0.25f;
        EXPECT_NEAR(gradients[i] - 1, (at - value()) / 0.25, 1e-3) << slot.name << " " << i;
        learned += value() != at;
        parameters[i] = before;
      }
    }
    // All of inputs, of weights all but that of the zero.
    const absl::string_view what = of;
    EXPECT_EQ(learned, what == "tensor" ? 4 : what == "channel" ? 2 + 32 + 5 : 2 + 672 - 1);

    // A width that is at its least is not pushed further: of a tensor 2 bits, else none.
    const TensorSlot slot = slot_of("seq_blocks_2.weight_frac_width");
    parameters[slot.offset] = -40;
    std::vector<float> gradients(parameters.size(), 0);
    penalty.AddGradient<float>(parameters, absl::MakeSpan(gradients));
    EXPECT_EQ(gradients[slot.offset], 0);
    penalty.Clamp<float>(absl::MakeSpan(parameters));
    EXPECT_EQ(parameters[slot.offset], what == "tensor" ? -1 : -2);
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
  QuantizeNodes("linear", LearnedOf("tensor"), fresh.graph, {"weight"});  // The input stays float.
  EXPECT_THAT(create(1e-6),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("learned_width")));
  QuantizeNodes("linear", "integer { width: 8 frac_width: 5 }", fresh.graph, {"data_in", "weight"});
  EXPECT_THAT(create(1e-6),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("learned_width")));
}

// At this rate all widths leave their ranges, and come back after the interruption or not.
TEST(WidthPenaltyTest, ATrainingThatGoesOnIsTheSame) {
  const Dataset dataset = LinearJets(1000, 200);
  for (const char* of : {"tensor", "channel", "weight"}) {
    const auto make = [&](const TrainerOptions& options) {
      FreshModel fresh = BuildLearned(dataset, of);
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
}

struct Outcome {
  int64_t ebops = 0;
  int64_t correct = 0;
};

Outcome TrainWith(const std::string& weight, absl::string_view of = "tensor") {
  const Dataset dataset = LinearJets();
  FreshModel fresh = BuildLearned(dataset, of);
  const std::string folder = EmptyTestFolder(absl::StrCat("run", weight, of));
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
  // What is stored computes as training measured it, in integers too.
  const SplitData rows = ValueOrDie(dataset.Get(Split::kValidation));
  const auto outputs = [&](Execution execution) {
    const auto executor = ValueOrDie(Executor::Create(*best.graph, {.execution = execution}));
    EXPECT_EQ(ValueOrDie(Evaluate(*executor, rows.features, rows.labels, 128)).correct,
              outcome.correct);
    EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows.rows(),
                                {rows.features.data<float>().data()}));
    return std::vector<float>(executor->output().begin(), executor->output().end());
  };
  EXPECT_EQ(outputs(Execution::kSimulated), outputs(Execution::kInteger));
  return outcome;
}

// The more they cost, the fewer bits training keeps; and those that it keeps are worth having.
TEST(WidthPenaltyTest, TrainingGivesUpBitsForTheirCost) {
  for (const char* of : {"tensor", "channel", "weight"}) {
    const Outcome free = TrainWith("0", of), cheap = TrainWith("3e-6", of),
                  dear = TrainWith("1e-4", of);
    EXPECT_LT(cheap.ebops, free.ebops) << of;
    EXPECT_LT(dear.ebops, cheap.ebops) << of;
    EXPECT_LT(dear.ebops, free.ebops / 4) << of;
    EXPECT_GT(cheap.correct, free.correct - 100) << of;  // Of 1,000.
    RecordProperty(absl::StrCat("ebops_", of),
                   absl::StrCat(free.ebops, " ", cheap.ebops, " ", dear.ebops));
    RecordProperty(absl::StrCat("correct_", of),
                   absl::StrCat(free.correct, " ", cheap.correct, " ", dear.correct));
  }
}

}  // namespace
}  // namespace mase
