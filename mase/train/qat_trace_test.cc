// Quantization-aware training, step for step that of a plain PyTorch loop with the same
// straight-through estimator. The figures are those of tools/make_qat_trace.py in float64; PyTorch
// 2.15 in float32 is up to 7e-8 away from them.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "mase/testing/matchers.h"
#include "mase/train/testing_data.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

constexpr char kTiny[] = "BN, ReLU, Linear 5, ReLU";
constexpr char kFormat[] = "integer { width: 6 frac_width: 3 }";
constexpr char kDeep[] = "BN, ReLU, Linear 32, ReLU, Linear 5";

struct Epoch {
  double train_loss, val_loss;
  int64_t val_correct;
};

// How far the training losses of all epochs are from the trace's, at most.
double DistanceFromTrace(const char* model, bool norm_too, bool in_double,
                         const std::vector<double>& first_losses,
                         const std::vector<Epoch>& epochs) {
  const Dataset dataset = LinearJets();
  FreshModel fresh = BuildFresh(model, dataset);
  QuantizeNodes("linear", kFormat, fresh.graph);
  if (norm_too) QuantizeNodes("batch_norm1d", kFormat, fresh.graph);
  const std::string folder = EmptyTestFolder(in_double ? "double" : "float");
  const TrainerOptions options = OptionsWith(absl::StrCat(
      "learning_rate: 1e-2 batch_size: 256 log_every_n_steps: 1 max_epochs: ", epochs.size(),
      " trainer_precision: '", in_double ? "64" : "32", "'"));
  const auto trainer =
      ValueOrDie(Trainer::Create(std::move(fresh.graph), dataset, fresh.generator, options));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));

  const std::vector<double> losses = LoggedValues(folder, "train_loss_step");
  for (size_t i = 0; i < first_losses.size(); ++i) {
    EXPECT_NEAR(losses[i], first_losses[i], 1e-6) << "step " << i;
  }
  double distance = 0;
  for (size_t e = 0; e < epochs.size(); ++e) {
    distance = std::max(distance, std::abs(result.history[e].train_loss - epochs[e].train_loss));
    EXPECT_NEAR(result.history[e].val_loss, epochs[e].val_loss, 1e-5) << "epoch " << e;
    EXPECT_NEAR(result.history[e].val_correct, epochs[e].val_correct, 2) << "epoch " << e;
  }
  return distance;
}

void ExpectTrace(const char* model, bool norm_too, const std::vector<double>& first_losses,
                 const std::vector<Epoch>& epochs) {
  const double in_float = DistanceFromTrace(model, norm_too, false, first_losses, epochs);
  const double in_double = DistanceFromTrace(model, norm_too, true, first_losses, epochs);
  EXPECT_LT(in_float, 1e-5);
  EXPECT_LT(in_double, 1e-8);
  ::testing::Test::RecordProperty("float32_distance", std::to_string(in_float * 1e9) + "e-9");
  ::testing::Test::RecordProperty("float64_distance", std::to_string(in_double * 1e9) + "e-9");
}

TEST(QatTraceTest, BatchNormInFloat) {
  ExpectTrace(kTiny, /*norm_too=*/false, {1.6001013, 1.6095545, 1.5914637, 1.6084370, 1.5756570},
              {{1.530232768, 1.466430265, 407},
               {1.328406976, 1.226775347, 562},
               {1.142644937, 1.049237207, 649},
               {1.012399591, 1.005264634, 648},
               {0.975314205, 0.981058788, 662}});
}

TEST(QatTraceTest, BatchNormQuantized) {
  ExpectTrace(kTiny, /*norm_too=*/true, {1.6008203, 1.6100675, 1.5972091, 1.6116346, 1.5758587},
              {{1.530742357, 1.465138546, 432},
               {1.329748046, 1.216026933, 572},
               {1.138168468, 1.034982092, 642},
               {1.012668468, 0.999466974, 662},
               {0.985804418, 0.982996266, 668}});
}

TEST(QatTraceTest, TwoLinearLayers) {
  ExpectTrace(kDeep, /*norm_too=*/true, {1.6113257, 1.5954364, 1.5923034, 1.5621330, 1.5460688},
              {{1.418295403, 1.165783351, 541},
               {0.958096307, 0.831662589, 687},
               {0.773708780, 0.709806493, 713},
               {0.675888908, 0.636849720, 746},
               {0.635029426, 0.641000980, 738}});
}

// One epoch: from then on rounding parts even PyTorch's float32 from its float64.
TEST(QatTraceTest, LearnedSteps) {
  const Dataset dataset = LinearJets();
  FreshModel fresh = BuildFresh(kDeep, dataset);
  QuantizeNodes("linear", "lsq { level: 16 sym: true scale: 0.25 }", fresh.graph,
                {"data_in", "weight"});
  const std::string folder = EmptyTestFolder("run");
  const TrainerOptions options =
      OptionsWith("learning_rate: 1e-2 batch_size: 256 max_epochs: 1 log_every_n_steps: 1");
  const auto trainer =
      ValueOrDie(Trainer::Create(std::move(fresh.graph), dataset, fresh.generator, options));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));
  EXPECT_NEAR(result.history[0].train_loss, 1.448342001, 1e-5);
  const std::vector<double> losses = LoggedValues(folder, "train_loss_step");
  const double first_losses[] = {1.6291683, 1.6091514, 1.6014442, 1.5715187, 1.5478493};
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(losses[i], first_losses[i], 1e-6) << "step " << i;
}

}  // namespace
}  // namespace mase
