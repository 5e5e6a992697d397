// Whole trainings, step for step those of PyTorch: its figures for the same data, seed and
// settings, computed by a plain loop on a CPU in float32 (1.13 and 2.15 agree to 1e-7 where no
// bias feeds a batch norm).
#include <cmath>
#include <vector>

#include "mase/data/open_dataset.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/matchers.h"
#include "mase/train/testing_data.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

struct Epoch {
  double train_loss, val_loss;
  int64_t val_correct;
};

struct Tolerance {
  double val_loss = 1e-5;
  int64_t val_correct = 2;
};

void ExpectTrace(absl::string_view model, const Dataset& dataset, const std::string& settings,
                 const std::vector<double>& first_losses, const std::vector<Epoch>& epochs,
                 Tolerance tolerance = {}) {
  const std::string folder = EmptyTestFolder("run");
  const TrainerOptions options = OptionsWith(absl::StrCat(
      settings, " learning_rate: 1e-2 log_every_n_steps: 1 max_epochs: ", epochs.size()));
  const TrainingResult result = Train(model, dataset, options, folder);

  const std::vector<double> losses = LoggedValues(folder, "train_loss_step");
  ASSERT_GE(losses.size(), first_losses.size());
  for (size_t i = 0; i < first_losses.size(); ++i) {
    EXPECT_NEAR(losses[i], first_losses[i], 1e-6) << "step " << i;
  }
  ASSERT_EQ(result.history.size(), epochs.size());
  for (size_t e = 0; e < epochs.size(); ++e) {
    SCOPED_TRACE(e);
    EXPECT_NEAR(result.history[e].train_loss, epochs[e].train_loss, 1e-5);
    EXPECT_NEAR(result.history[e].val_loss, epochs[e].val_loss, tolerance.val_loss);
    EXPECT_NEAR(result.history[e].val_correct, epochs[e].val_correct, tolerance.val_correct);
  }
}

// Trace A: `toy` on toy_tiny, in file order.
void ExpectToyTrace(OptimizerKind optimizer, double weight_decay,
                    const std::vector<double>& first_losses, const std::vector<Epoch>& epochs) {
  DatasetConfig config;
  config.set_name("toy_tiny");
  ExpectTrace("toy", ValueOrDie(OpenDataset(config)),
              absl::StrCat("training_optimizer: '", OptimizerName(optimizer),
                           "' weight_decay: ", weight_decay, " batch_size: 512 shuffle: false"),
              first_losses, epochs);
}

TEST(TraceTest, ToyWithAdam) {
  ExpectToyTrace(OptimizerKind::kAdam, 0, {0.7116147, 0.7018138, 0.6985179, 0.6899294, 0.6925330},
                 {{0.6599091, 0.5702328, 8089},
                  {0.4056643, 0.2375321, 9433},
                  {0.1588578, 0.1126412, 9926},
                  {0.0908273, 0.0830268, 10035},
                  {0.0742588, 0.0770381, 10060}});
}

TEST(TraceTest, ToyWithAdamW) {
  ExpectToyTrace(OptimizerKind::kAdamW, 1e-3,
                 {0.7116147, 0.7018135, 0.6985176, 0.6899295, 0.6925330},
                 {{0.6599175, 0.5702682, 8089},
                  {0.4057283, 0.2376019, 9433},
                  {0.1589142, 0.1126880, 9926},
                  {0.0908660, 0.0830571, 10035},
                  {0.0742883, 0.0770686, 10060}});
}

TEST(TraceTest, ToyWithSgd) {
  ExpectToyTrace(OptimizerKind::kSgd, 0, {0.7116147, 0.7055682, 0.7052817, 0.6960123, 0.7039829},
                 {{0.6996747, 0.6968287, 5102},
                  {0.6920757, 0.6893366, 6062},
                  {0.6857051, 0.6825411, 6782},
                  {0.6797096, 0.6776173, 6949},
                  {0.6761995, 0.6759702, 6980}});
}

// Trace B, in file order.
const std::vector<Epoch>& JscTinyEpochs() {
  static const auto& epochs = *new std::vector<Epoch>{{1.5299271, 1.4176835, 477},
                                                      {1.2913254, 1.1819384, 604},
                                                      {1.0880557, 1.0300485, 670},
                                                      {0.9656783, 0.9584152, 688},
                                                      {0.9167925, 0.9402611, 693}};
  return epochs;
}
const std::vector<double> kJscTinyFirst = {1.6008155, 1.6202607, 1.5914947, 1.5694216, 1.5692680};

TEST(TraceTest, JscTiny) {
  ExpectTrace("jsc-tiny", LinearJets(), "batch_size: 256 shuffle: false", kJscTinyFirst,
              JscTinyEpochs());
  const Checkpoint last =
      ValueOrDie(LoadCheckpoint(::testing::TempDir() + "/JscTiny/run/" + kLastCheckpoint));
  const auto expect_head = [&last](const char* name, std::vector<float> expected) {
    const absl::Span<const float> values = last.graph->FindTensor(name)->value.data<float>();
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 2e-5) << name;
  };
  expect_head("seq_blocks.0.running_mean", {-0.0721413, 0.1183946, 0.0782126, 0.0318684});
  expect_head("seq_blocks.0.running_var", {1.3748342, 1.2343894, 1.2504061, 1.2984593});
  expect_head("seq_blocks.0.weight", {1.4046063, 1.2237549, 1.0407125, 1.4636964});
  expect_head("seq_blocks.2.weight", {-0.4202003, 0.4363727, 0.2399607, 0.2238944});
  expect_head("seq_blocks.2.bias", {0.1493042, 0.3424543, 0.5580245, -0.0772134, 0.0491889});
  EXPECT_THAT(last.graph->FindTensor("seq_blocks.0.num_batches_tracked")->value.data<int64_t>(),
              ElementsAre(5 * 17));
}

TEST(TraceTest, JscTinyInDouble) {
  ExpectTrace("jsc-tiny", LinearJets(), "trainer_precision: '64' batch_size: 256 shuffle: false",
              kJscTinyFirst, JscTinyEpochs());
}

// Nets that are no plain chain of layers run op by op; a view that changes nothing makes one such.
TEST(TraceTest, JscTinyOpByOp) {
  ExpectTrace("BN, ReLU; view(size, 16); rest: Linear 5, ReLU", LinearJets(),
              "batch_size: 256 shuffle: false", kJscTinyFirst, JscTinyEpochs());
}

// A linear's bias before a batch norm has a gradient of zero. PyTorch's is rounding noise, which
// Adam blows up: its validation figures are a random walk, ours are not.
const std::vector<Epoch>& JscToyEpochs() {
  static const auto& epochs = *new std::vector<Epoch>{{1.5676734, 1.4890954, 383},
                                                      {1.2528862, 1.1984521, 578},
                                                      {1.0476874, 1.0070788, 659},
                                                      {0.9408676, 0.9432684, 676},
                                                      {0.8964357, 0.9318724, 687}};
  return epochs;
}
const std::vector<double> kJscToyFirst = {1.8641703, 1.7390692, 1.6933681, 1.6880159, 1.6629653};
constexpr Tolerance kNoise = {1e-2, 15};

TEST(TraceTest, JscToy) {
  ExpectTrace("jsc-toy", LinearJets(), "batch_size: 256 shuffle: false", kJscToyFirst,
              JscToyEpochs(), kNoise);
}

TEST(TraceTest, JscToyOpByOp) {
  ExpectTrace(
      "BN, ReLU, Linear 8, BN, ReLU, Linear 8, BN, ReLU; view(size, 8); rest: Linear 5, BN, ReLU",
      LinearJets(), "batch_size: 256 shuffle: false", kJscToyFirst, JscToyEpochs(), kNoise);
}

TEST(TraceTest, ABiasBeforeABatchNormStaysWhatItWas) {
  for (const char* model :
       {"jsc-toy", "BN, ReLU, Linear 8, BN; view(size, 8); rest: Linear 5, BN"}) {
    const std::string folder = EmptyTestFolder("run");
    Train(model, LinearJets(), OptionsWith("learning_rate: 1e-2 batch_size: 256 max_epochs: 1"),
          folder);
    const Checkpoint last = ValueOrDie(LoadCheckpoint(folder + "/" + kLastCheckpoint));
    const Graph fresh = BuildFresh(model, LinearJets()).graph;
    int seen = 0;
    for (const char* name :
         {"seq_blocks.2.bias", "seq_blocks.5.bias", "seq_blocks.8.bias", "rest.0.bias"}) {
      const GraphTensor* before = fresh.FindTensor(name);
      if (before == nullptr) continue;
      EXPECT_TRUE(BitEqual(before->value, last.graph->FindTensor(name)->value)) << name;
      ++seen;
    }
    EXPECT_GE(seen, 2) << model;
  }
}

// DataLoader(shuffle=True) in a plain PyTorch 2.15 loop after torch.manual_seed(0) and the model.
TEST(TraceTest, ShuffledJscTinyWithAdam) {
  ExpectTrace(
      "jsc-tiny", LinearJets(), "batch_size: 256",
      {1.6016477, 1.6039504, 1.5837436, 1.6031270, 1.5666739},
      {{1.5264168, 1.4451731, 451}, {1.3343447, 1.2397148, 576}, {1.1995004, 1.1698557, 596}});
}

TEST(TraceTest, ShuffledJscTinyWithAdamAndDecay) {
  ExpectTrace(
      "jsc-tiny", LinearJets(), "weight_decay: 1e-3 batch_size: 256",
      {1.6016477, 1.6040615, 1.5837479, 1.6031903, 1.5671231},
      {{1.5266888, 1.4413212, 454}, {1.3326303, 1.2372592, 574}, {1.1984479, 1.1681572, 609}});
}

TEST(TraceTest, ShuffledJscTinyWithSgd) {
  ExpectTrace(
      "jsc-tiny", LinearJets(), "training_optimizer: 'sgd' batch_size: 256",
      {1.6016477, 1.6151142, 1.6038010, 1.6384648, 1.6098595},
      {{1.5904837, 1.5856342, 272}, {1.5507576, 1.5581012, 322}, {1.5451295, 1.5471025, 336}});
}

// 17 batches in steps of four: the fifth step of an epoch has one batch, its loss divided by four.
TEST(TraceTest, ShuffledJscTinyWithFourBatchesToAStep) {
  ExpectTrace(
      "jsc-tiny", LinearJets(), "batch_size: 256 accumulate_grad_batches: 4", {1.6428790},
      {{1.5852559, 1.5619534, 313}, {1.5275167, 1.5199614, 362}, {1.5039034, 1.5017503, 381}});
}

TEST(TraceTest, ShuffledMlpWithoutBatchNorm) {
  ExpectTrace(
      "Linear 64, ReLU, Linear 32, ReLU, Linear 32, ReLU, Linear 5", LinearJets(),
      "batch_size: 256", {1.5928605, 1.5897648, 1.5428545, 1.5326506, 1.4687767},
      {{1.1268975, 0.6250159, 747}, {0.3535062, 0.2619691, 895}, {0.1756149, 0.1644061, 937}});
}

}  // namespace
}  // namespace mase
