#include "mase/kernel/dense/optimizer_step.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"

namespace mase {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;

// 19: not a multiple of any register, so tails are covered. Five steps from (i - 9) / 8 with the
// gradients below; wanted figures are PyTorch 2.15's on a CPU (foreach=False), all digits.
constexpr int kSize = 19;

std::vector<float> Start() {
  std::vector<float> parameters(kSize);
  for (int i = 0; i < kSize; ++i) parameters[i] = static_cast<float>(i - 9) / 8;
  return parameters;
}

std::vector<float> Gradients(int step) {
  std::vector<float> gradients(kSize);
  for (int i = 0; i < kSize; ++i)
    gradients[i] = static_cast<float>((i * 7 + step * 3) % 11 - 5) / 8;
  return gradients;
}

std::vector<float> RunAdam(AdamStepOptions options) {
  std::vector<float> parameters = Start(), first(kSize), second(kSize);
  for (options.step = 1; options.step <= 5; ++options.step) {
    AdamStep(options, kSize, Gradients(static_cast<int>(options.step)).data(), parameters.data(),
             first.data(), second.data());
  }
  return parameters;
}

std::vector<float> RunSgd(SgdStepOptions options) {
  std::vector<float> parameters = Start(), momenta(kSize);
  for (options.step = 1; options.step <= 5; ++options.step) {
    SgdStep(options, kSize, Gradients(static_cast<int>(options.step)).data(), parameters.data(),
            momenta.data());
  }
  return parameters;
}

class OptimizerStepTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!SetIsaForTest(GetParam())) GTEST_SKIP() << "this machine lacks " << IsaName(GetParam());
  }
  // Without fused multiply-adds there are more roundings.
  bool HasPyTorchsBits() const { return GetParam() != Isa::kBaseline; }

  void ExpectPyTorchs(const std::vector<float>& got, const std::vector<float>& want) {
    if (HasPyTorchsBits()) {
      EXPECT_THAT(got, ElementsAreArray(want));
    } else {
      EXPECT_THAT(got, ::testing::Pointwise(::testing::FloatNear(2e-7f), want));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, OptimizerStepTest,
                         ::testing::Values(Isa::kBaseline, Isa::kAvx2, Isa::kAvx512));

TEST_P(OptimizerStepTest, AdamIsPyTorchsToTheBit) {
  ExpectPyTorchs(RunAdam({.learning_rate = 1e-2}),
                 {-1.11418736f, -1.01633584f, -0.894939125f, -0.72537142f, -0.637653828f,
                  -0.498753756f, -0.356172115f, -0.251544237f, -0.129755348f, 0.0279622786f,
                  0.0953156948f, 0.26081273f, 0.358664244f, 0.480060816f, 0.64962858f, 0.737346172f,
                  0.876246274f, 1.0188278f, 1.12345588f});
}

TEST_P(OptimizerStepTest, AdamAddsTheDecayToTheGradient) {
  ExpectPyTorchs(RunAdam({.learning_rate = 1e-2, .weight_decay = 1e-2}),
                 {-1.11279392f, -1.015481f, -0.894168496f, -0.724687815f, -0.637087345f,
                  -0.488306016f, -0.355877876f, -0.251328707f, -0.129620016f, 0.027951736f,
                  0.0952416062f, 0.260488898f, 0.358356923f, 0.479639232f, 0.649028063f,
                  0.736681879f, 0.865463018f, 1.01799679f, 1.12249672f});
}

TEST_P(OptimizerStepTest, AdamWShrinksTheParameter) {
  ExpectPyTorchs(
      RunAdam({.learning_rate = 1e-2, .weight_decay = 1e-2, .decoupled_weight_decay = true}),
      {-1.11362886f, -1.01583064f, -0.894494951f, -0.725002646f, -0.637337744f, -0.498502463f,
       -0.355991453f, -0.25141722f, -0.129694119f, 0.0279544201f, 0.0952609256f, 0.260683775f,
       0.358482003f, 0.47981751f, 0.649309814f, 0.736974835f, 0.875810146f, 1.01832104f,
       1.12289548f});
}

TEST_P(OptimizerStepTest, SgdWithNesterovMomentumIsPyTorchsToTheBit) {
  ExpectPyTorchs(RunSgd({}),
                 {-1.11958039f, -1.01213098f, -0.885425925f, -0.723575294f, -0.642250836f,
                  -0.489420772f, -0.364832371f, -0.246245667f, -0.140701205f, 0.0311727654f,
                  0.0934532508f, 0.255303949f, 0.362753421f, 0.489458382f, 0.651309073f,
                  0.732633591f, 0.885463476f, 1.01005185f, 1.12863874f});
}

TEST_P(OptimizerStepTest, PlainSgdSubtractsTheScaledGradient) {
  std::vector<float> parameters = {1, 2, 3};
  const std::vector<float> gradients = {4, -8, 0};
  SgdStep({.learning_rate = 0.25, .momentum = 0, .weight_decay = 0}, 3, gradients.data(),
          parameters.data(), nullptr);
  EXPECT_THAT(parameters, ElementsAreArray({0.0f, 4.0f, 3.0f}));
}

TEST_P(OptimizerStepTest, ZerosStayZero) {
  std::vector<float> parameters(5), gradients(5), first(5), second(5);
  AdamStep({.weight_decay = 0.1}, 5, gradients.data(), parameters.data(), first.data(),
           second.data());
  EXPECT_THAT(parameters, Each(0.0f));
  EXPECT_THAT(second, Each(0.0f));
}

}  // namespace
}  // namespace mase
