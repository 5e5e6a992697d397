// The kernels train as PyTorch does: jsc-tiny on synthetic data, against PyTorch's own losses.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/kernel/dense/dense.h"
#include "mase/kernel/dense/optimizer_step.h"

namespace mase {
namespace {

constexpr int64_t kFeatures = 16;
constexpr int64_t kClasses = 5;
constexpr int64_t kBatch = 256;

struct Rows {
  std::vector<float> features;
  std::vector<int64_t> labels;
};

// Uniform features in [-2, 2); the label is the highest of five fixed linear scores.
Rows MakeRows(uint32_t seed, int64_t rows) {
  NumpyGenerator score_draws(7), draws(seed);
  std::vector<double> weights(kFeatures * kClasses);
  for (double& weight : weights) weight = score_draws.Uniform() - 0.5;
  Rows made;
  for (int64_t r = 0; r < rows; ++r) {
    double scores[kClasses] = {};
    for (int64_t f = 0; f < kFeatures; ++f) {
      const double x = draws.Uniform() * 4 - 2;
      made.features.push_back(static_cast<float>(x));
      for (int64_t k = 0; k < kClasses; ++k) scores[k] += x * weights[f * kClasses + k];
    }
    made.labels.push_back(std::max_element(scores, scores + kClasses) - scores);
  }
  return made;
}

// Batch norm, ReLU, linear 16 -> 5, ReLU; parameters: gamma, beta, W, b.
constexpr int64_t kGamma = 0, kBeta = 16, kWeight = 32, kBias = 112, kParameters = 117;
constexpr int kTensors = 6;  // Those, then the running mean and variance.

std::vector<DenseLayer> JscTiny() {
  using Kind = DenseLayer::Kind;
  return {
      {.kind = Kind::kBatchNorm,
       .in = 16,
       .out = 16,
       .weight = 0,
       .bias = 1,
       .running_mean = 4,
       .running_var = 5},
      {.kind = Kind::kRelu, .in = 16, .out = 16},
      {.kind = Kind::kLinear, .in = 16, .out = 5, .weight = 2, .bias = 3},
      {.kind = Kind::kRelu, .in = 5, .out = 5},
  };
}

// The same in inference.
std::vector<float> Scores(const float* x, int64_t rows, const std::vector<float>& parameters,
                          const std::vector<float>& buffers) {
  std::vector<float> scores;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < kClasses; ++k) {
      double sum = parameters[kBias + k];
      for (int64_t f = 0; f < kFeatures; ++f) {
        const double normal = (x[r * kFeatures + f] - buffers[f]) /
                              std::sqrt(buffers[kFeatures + f] + 1e-5) * parameters[kGamma + f];
        const double positive = std::max(normal + parameters[kBeta + f], 0.0);
        sum += positive * parameters[kWeight + k * kFeatures + f];
      }
      scores.push_back(static_cast<float>(std::max(sum, 0.0)));
    }
  }
  return scores;
}

TEST(TrainingTraceTest, JscTinyFollowsPyTorch) {
  const Rows train = MakeRows(0, 4100), validation = MakeRows(1, 1000);
  const DenseNet net = *DenseNet::Create(JscTiny());
  std::vector<float> parameters(kParameters), gradients(kParameters), first(kParameters),
      second(kParameters), buffers(32), workspace(net.WorkspaceFloats(kBatch));
  std::fill_n(parameters.begin() + kGamma, 16, 1.0f);
  std::fill_n(buffers.begin() + 16, 16, 1.0f);
  TorchGenerator init(0);
  init.FillUniform(absl::MakeSpan(&parameters[kWeight], 85), -0.25f, 0.25f);
  void* pointers[kTensors] = {&parameters[kGamma], &parameters[kBeta], &parameters[kWeight],
                              &parameters[kBias],  &buffers[0],        &buffers[kFeatures]};
  void* diff_pointers[kTensors] = {&gradients[kGamma], &gradients[kBeta], &gradients[kWeight],
                                   &gradients[kBias]};
  const DenseTensors tensors = {pointers, diff_pointers, workspace.data()};

  const std::vector<double> first_losses = {1.6008155, 1.6202607, 1.5914947, 1.5694216, 1.5692680};
  const struct {
    double train_loss, validation_loss;
    int64_t correct;
  } epochs[] = {{1.5299271, 1.4176835, 477},
                {1.2913254, 1.1819384, 604},
                {1.0880557, 1.0300485, 670},
                {0.9656783, 0.9584152, 688},
                {0.9167925, 0.9402611, 693}};
  std::vector<double> losses;
  AdamStepOptions adam;
  for (int e = 0; e < 5; ++e) {
    adam.learning_rate = 1e-6 + (1e-2 - 1e-6) * (1 + std::cos(M_PI * e / 5)) / 2;
    double sum = 0;
    int64_t batches = 0;
    for (int64_t r = 0; r < 4100; r += kBatch, ++adam.step, ++batches) {
      const DenseRows batch = {&train.features[r * kFeatures], nullptr,
                               std::min(kBatch, int64_t{4100} - r)};
      losses.push_back(net.TrainStep(batch, &train.labels[r], tensors).loss);
      sum += losses.back();
      AdamStep(adam, kParameters, gradients.data(), parameters.data(), first.data(), second.data());
    }
    EXPECT_NEAR(sum / static_cast<double>(batches), epochs[e].train_loss, 1e-5) << e;

    sum = 0;
    int64_t correct = 0;
    for (int64_t r = 0; r < 1000; r += kBatch) {
      const int64_t rows = std::min(kBatch, 1000 - r);
      const std::vector<float> scores =
          Scores(&validation.features[r * kFeatures], rows, parameters, buffers);
      const ClassificationLoss loss =
          SoftmaxCrossEntropy(scores.data(), &validation.labels[r], rows, kClasses, nullptr);
      sum += loss.loss;
      correct += loss.correct;
    }
    EXPECT_NEAR(sum / 4, epochs[e].validation_loss, 1e-5) << e;
    EXPECT_NEAR(static_cast<double>(correct), static_cast<double>(epochs[e].correct), 2) << e;
  }
  losses.resize(5);
  EXPECT_THAT(losses, ::testing::Pointwise(::testing::DoubleNear(1e-6), first_losses));
}

}  // namespace
}  // namespace mase
