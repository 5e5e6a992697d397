#include "mase/train/optimizer.h"

#include <cmath>

#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// Five steps on five parameters with gradients that are exact in binary and a falling rate.
template <typename T>
std::vector<T> AfterFiveSteps(Optimizer<T>& optimizer) {
  std::vector<T> parameters = {T(0.5), T(-1.25), T(2), T(0), T(1e-3f)};
  for (int t = 0; t < 5; ++t) {
    std::vector<T> gradients;
    for (int i = 0; i < 5; ++i) gradients.push_back(static_cast<T>((i * 7 + t * 3) % 11 - 5) / 8);
    optimizer.Step(0.01 / (t + 1), gradients, absl::MakeSpan(parameters));
  }
  return parameters;
}

// What torch.optim 2.15 makes of the same: parameters, then states.
struct Expected {
  OptimizerKind kind;
  double weight_decay;
  std::vector<float> parameters;
  std::vector<std::vector<float>> states;
};

const std::vector<Expected>& PyTorch() {
  static const auto& table = *new std::vector<Expected>{
      {OptimizerKind::kAdam,
       0,
       {0.517058671f, -1.2673198f, 2.01040173f, -0.0122259939f, -0.0136703001f},
       {{-0.0541062467f, 0.0690900013f, -0.024290001f, -0.0150812538f, 0.017901253f},
        {0.000966721331f, 0.000732673623f, 0.000592703815f, 0.00106037781f, 0.000592423021f}}},
      {OptimizerKind::kAdam,
       0.125,
       {0.515858173f, -1.26388454f, 1.99134576f, -0.0121996198f, -0.0136489132f},
       {{-0.0279030837f, 0.0045356052f, 0.0778807551f, -0.0155664561f, 0.0173713528f},
        {0.000893517572f, 0.000582262757f, 0.000779111579f, 0.00106218131f, 0.000592602766f}}},
      {OptimizerKind::kAdamW,
       0.125,
       {0.515611589f, -1.2637341f, 2.00468254f, -0.0122085121f, -0.0136527456f},
       {{-0.0541062467f, 0.0690900013f, -0.024290001f, -0.0150812538f, 0.017901253f},
        {0.000966721331f, 0.000732673623f, 0.000592703815f, 0.00106037781f, 0.000592423021f}}},
      // Its weight decay is 5e-4 whatever is asked for.
      {OptimizerKind::kSgd,
       0.125,
       {0.518993735f, -1.26436341f, 2.00384641f, -0.0119513003f, -0.00545053324f},
       {{-0.54001087f, 0.688322663f, -0.238799036f, -0.15083307f, 0.179005027f}}}};
  return table;
}

TEST(OptimizerTest, FloatStepsArePyTorchs) {
  for (const Expected& expected : PyTorch()) {
    SCOPED_TRACE(OptimizerName(expected.kind));
    Optimizer<float> optimizer(expected.kind, expected.weight_decay, 5);
    EXPECT_THAT(AfterFiveSteps(optimizer),
                ::testing::Pointwise(::testing::FloatEq(), expected.parameters));
    ASSERT_EQ(optimizer.states().size(), expected.states.size());
    for (size_t i = 0; i < expected.states.size(); ++i) {
      EXPECT_THAT(optimizer.states()[i].values,
                  ::testing::Pointwise(::testing::FloatNear(1e-8), expected.states[i]));
    }
  }
}

TEST(OptimizerTest, DoubleStepsAreTheSameArithmetic) {
  for (const Expected& expected : PyTorch()) {
    SCOPED_TRACE(OptimizerName(expected.kind));
    Optimizer<double> optimizer(expected.kind, expected.weight_decay, 5);
    const std::vector<double> parameters = AfterFiveSteps(optimizer);
    for (int i = 0; i < 5; ++i) EXPECT_NEAR(parameters[i], expected.parameters[i], 5e-7);
  }
}

TEST(OptimizerTest, AStateThatIsPutBackGoesOnBitForBit) {
  for (const Expected& expected : PyTorch()) {
    Optimizer<float> whole(expected.kind, expected.weight_decay, 3);
    std::vector<float> p = {1, 2, 3}, q;
    const std::vector<float> g1 = {0.3f, -0.7f, 1e-3f}, g2 = {-0.1f, 0.2f, 5};
    whole.Step(0.1, g1, absl::MakeSpan(p));
    Optimizer<float> resumed(expected.kind, expected.weight_decay, 3);
    resumed.set_steps(whole.steps());
    for (size_t i = 0; i < whole.states().size(); ++i) {
      resumed.states()[i].values = whole.states()[i].values;
    }
    q = p;
    whole.Step(0.05, g2, absl::MakeSpan(p));
    resumed.Step(0.05, g2, absl::MakeSpan(q));
    EXPECT_EQ(p, q);
  }
}

TEST(OptimizerTest, PaddingStaysZero) {
  for (const Expected& expected : PyTorch()) {
    Optimizer<float> optimizer(expected.kind, 0.125, 2);
    std::vector<float> p = {1, 0};
    for (int t = 0; t < 3; ++t) optimizer.Step(0.1, {0.5f, 0}, absl::MakeSpan(p));
    EXPECT_EQ(p[1], 0);
  }
}

TEST(OptimizerTest, NamesAndDefaults) {
  EXPECT_EQ(*ParseOptimizer("adamw"), OptimizerKind::kAdamW);
  EXPECT_THAT(ParseOptimizer("adm"), StatusIs(absl::StatusCode::kNotFound,
                                              HasSubstr("Unsupported optimizer name adm; did you "
                                                        "mean 'adam'?")));
  EXPECT_EQ(DefaultRateFloor(OptimizerKind::kSgd), 0);
  EXPECT_EQ(DefaultRateFloor(OptimizerKind::kAdamW), 1e-6);
  EXPECT_EQ(OptimizerClass(OptimizerKind::kSgd), "SGD");
}

}  // namespace
}  // namespace mase
