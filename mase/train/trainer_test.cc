#include "mase/train/trainer.h"

#include <omp.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/graph/finite.h"
#include "mase/interop/safetensors.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/matchers.h"
#include "mase/train/testing_data.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;

constexpr char kDropoutNet[] = "BN, ReLU, Linear 12, Dropout 0.2, BN, ReLU, Linear 5";
// The same, but no plain chain of layers: it runs op by op.
constexpr char kOpByOpNet[] =
    "BN, ReLU, Linear 12, Dropout 0.2; view(size, 12); rest: BN, ReLU, Linear 5";

std::string Bytes(const std::string& folder, const char* file) {
  return ValueOrDie(ReadFile(folder + "/" + file, 1 << 28));
}

TrainerOptions SmallRun() {
  return OptionsWith("learning_rate: 1e-2 batch_size: 64 max_epochs: 3");
}

absl::StatusOr<std::unique_ptr<Trainer>> Create(absl::string_view model, const Dataset& dataset,
                                                const TrainerOptions& options) {
  FreshModel fresh = BuildFresh(model, dataset);
  return Trainer::Create(std::move(fresh.graph), dataset, fresh.generator, options);
}

// Runs until the clock of the progress line has been read `readings` times, as if Ctrl-C had been
// pressed then.
TrainingResult RunInterrupted(absl::string_view model, const Dataset& dataset,
                              TrainerOptions options, const std::string& folder, int readings,
                              bool resume) {
  std::atomic<bool> interrupted = false;
  int read = 0;
  options.interrupted = &interrupted;
  options.terminal = {.interactive = true,
                      .seconds = [&] { return interrupted = ++read >= readings, read * 1.0; },
                      .write = [](absl::string_view) {}};
  auto trainer = ValueOrDie(Create(model, dataset, options));
  if (resume) {
    EXPECT_OK(trainer->Restore(folder));
  }
  return ValueOrDie(trainer->Run(folder));
}

TEST(TrainerTest, WritesCheckpointsLogAndHistory) {
  const std::string folder = EmptyTestFolder("run");
  TrainerOptions options = SmallRun();
  options.settings.set_log_every_n_steps(2);
  const TrainingResult result = Train("jsc-tiny", LinearJets(300, 100), options, folder);
  EXPECT_EQ(result.steps, 15);
  EXPECT_THAT(result.history, SizeIs(3));
  EXPECT_THAT(result.files, IsSupersetOf({"history.csv", "metrics.jsonl", "best.safetensors",
                                          "last.safetensors", "loss.svg", "accuracy.svg"}));
  for (const std::string& file : result.files) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(folder, "/", file))) << file;
  }
  EXPECT_THAT(LoggedValues(folder, "train_loss_step"), SizeIs(7)) << "steps 1, 3, ... 13";
  EXPECT_THAT(LoggedValues(folder, "lr-Adam"), SizeIs(7));
  EXPECT_THAT(LoggedValues(folder, "train_acc_step"), SizeIs(7));
  EXPECT_THAT(LoggedValues(folder, "val_acc_epoch"), SizeIs(3));
  EXPECT_THAT(LoggedValues(folder, "val_loss_epoch"), SizeIs(3));
  EXPECT_THAT(LoggedValues(folder, "hp_metric"), ElementsAre(-1));
}

TEST(TrainerTest, BestIsTheEpochOfTheLowestValidationLossAndHoldsTheNetAlone) {
  const std::string folder = EmptyTestFolder("run");
  TrainerOptions options = SmallRun();
  options.settings.set_learning_rate(0.5);  // So large that later epochs are worse.
  options.settings.set_max_epochs(6);
  const Dataset dataset = LinearJets(300, 100);
  const TrainingResult result = Train("jsc-tiny", dataset, options, folder);
  int64_t best = 0;
  for (const EpochRecord& r : result.history) {
    if (r.val_loss < result.history[best].val_loss) best = r.epoch;
  }
  EXPECT_EQ(result.best_epoch, best);

  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(folder + "/" + kBestCheckpoint));
  EXPECT_EQ(checkpoint.contents.tensors.size(), checkpoint.graph->tensors().size());
  auto executor = ValueOrDie(Executor::Create(*checkpoint.graph));
  const SplitData validation = ValueOrDie(dataset.Get(Split::kValidation));
  const Evaluation evaluation =
      ValueOrDie(Evaluate(*executor, validation.features, validation.labels, 64));
  EXPECT_EQ(evaluation.correct, result.history[best].val_correct);
  EXPECT_EQ(evaluation.loss, result.history[best].val_loss);
}

// 8 x 8 images, bright in one of the four quarters, under noise.
Dataset Quarters(int64_t rows) {
  Dataset dataset({.name = "quarters",
                   .kind = "generated images",
                   .class_names = std::vector<std::string>(4, "class"),
                   .sample_shape = {1, 8, 8}});
  const auto make = [rows](uint64_t seed) -> absl::StatusOr<SplitData> {
    SplitData data{Tensor(DType::kFloat32, {rows, 1, 8, 8}), Tensor(DType::kInt64, {rows}), ""};
    TorchGenerator generator(seed);
    const absl::Span<float> pixels = data.features.mutable_data<float>();
    const absl::Span<int64_t> labels = data.labels.mutable_data<int64_t>();
    generator.FillNormal(pixels, 0, 1);
    for (int64_t i = 0; i < rows; ++i) {
      labels[i] = generator.Int63() % 4;
      for (int64_t y = 0; y < 4; ++y) {
        for (int64_t x = 0; x < 4; ++x) {
          pixels[i * 64 + (labels[i] / 2 * 4 + y) * 8 + labels[i] % 2 * 4 + x] += 0.5f;
        }
      }
    }
    return data;
  };
  dataset.Set(Split::kTrain, [make] { return make(1); });
  dataset.Set(Split::kValidation, [make] { return make(2); });
  return dataset;
}

TEST(TrainerTest, Bfloat16TrainsNearlyAsWellAsFloat) {
  const Dataset jets = LinearJets(), quarters = Quarters(1000);
  const std::pair<const char*, const Dataset*> cases[] = {
      {"jsc-tiny", &jets},
      {"jsc-toy", &jets},
      {"Conv 16 3 padding=1 bias=false, BN, ReLU, Conv 16 3 padding=1, ReLU, MaxPool 2; "
       "view(size, -1); rest: Linear 4",
       &quarters},
  };
  for (const auto& [model, dataset] : cases) {
    double accuracy[2];
    for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
      TrainerOptions options = SmallRun();
      options.settings.set_trainer_precision(std::string(PrecisionName(precision)));
      const TrainingResult result = Train(model, *dataset, options, EmptyTestFolder("run"));
      accuracy[precision == Precision::kBfloat16] = result.history.back().val_acc;
    }
    EXPECT_GT(accuracy[0], 0.6) << model;
    EXPECT_NEAR(accuracy[1], accuracy[0], 0.02) << model;
    EXPECT_NE(accuracy[1], 0) << model;
  }
}

TEST(TrainerTest, TheSameRunGivesTheSameBytesForAnyNumberOfThreads) {
  const int threads = omp_get_max_threads();
  const std::pair<const char*, Precision> cases[] = {{"jsc-toy", Precision::kFloat32},
                                                     {kDropoutNet, Precision::kFloat32},
                                                     {kOpByOpNet, Precision::kFloat32},
                                                     {kDropoutNet, Precision::kBfloat16},
                                                     {kOpByOpNet, Precision::kBfloat16}};
  for (const auto& [model, precision] : cases) {
    std::vector<std::string> last, best;
    for (const int n : {1, 2, 5}) {
      omp_set_num_threads(n);
      const std::string folder = EmptyTestFolder("run");
      TrainerOptions options = SmallRun();
      options.settings.set_trainer_precision(std::string(PrecisionName(precision)));
      Train(model, LinearJets(1000, 100), options, folder);
      last.push_back(Bytes(folder, kLastCheckpoint));
      best.push_back(Bytes(folder, kBestCheckpoint));
    }
    omp_set_num_threads(threads);
    EXPECT_TRUE(last[0] == last[1] && last[0] == last[2]) << model;
    EXPECT_TRUE(best[0] == best[1] && best[0] == best[2]) << model;
  }
}

// A run that is interrupted again and again, between steps and in validation, ends with the bytes
// of one that is not.
TEST(TrainerTest, AResumedRunIsTheSameBitForBit) {
  const Dataset dataset = LinearJets(300, 100);
  struct Case {
    const char* model;
    OptimizerKind optimizer;
    Precision precision;
    int64_t accumulate;
    int64_t max_steps;
  };
  for (const Case& c : {Case{"jsc-toy", OptimizerKind::kAdam, Precision::kFloat32, 1, -1},
                        Case{"jsc-tiny", OptimizerKind::kSgd, Precision::kFloat32, 2, -1},
                        Case{kDropoutNet, OptimizerKind::kAdamW, Precision::kFloat32, 1, 12},
                        Case{kOpByOpNet, OptimizerKind::kAdam, Precision::kFloat32, 1, -1},
                        Case{"jsc-toy", OptimizerKind::kAdam, Precision::kBfloat16, 1, -1},
                        Case{kOpByOpNet, OptimizerKind::kAdam, Precision::kBfloat16, 1, -1},
                        Case{"jsc-tiny", OptimizerKind::kAdam, Precision::kFloat64, 1, -1}}) {
    SCOPED_TRACE(c.model);
    const std::string whole = EmptyTestFolder("whole"), pieces = EmptyTestFolder("pieces");
    TrainerOptions options = SmallRun();
    options.settings.set_training_optimizer(std::string(OptimizerName(c.optimizer)));
    options.settings.set_trainer_precision(std::string(PrecisionName(c.precision)));
    options.settings.set_accumulate_grad_batches(c.accumulate);
    options.settings.set_max_steps(c.max_steps);
    options.settings.set_log_every_n_steps(1);
    const TrainingResult expected = Train(c.model, dataset, options, whole);
    bool resume = false;
    TrainingResult result;
    int runs = 0;
    do {
      result = RunInterrupted(c.model, dataset, options, pieces, /*readings=*/5, resume);
      resume = true;
    } while (absl::IsCancelled(result.ending) && ++runs < 100);
    EXPECT_OK(result.ending);
    EXPECT_GT(runs, 2);
    EXPECT_EQ(result.steps, expected.steps);
    EXPECT_TRUE(Bytes(whole, kLastCheckpoint) == Bytes(pieces, kLastCheckpoint));
    EXPECT_TRUE(Bytes(whole, kBestCheckpoint) == Bytes(pieces, kBestCheckpoint));
    for (const char* tag : {"train_loss_step", "val_loss_epoch", "val_acc_epoch", "hp_metric"}) {
      EXPECT_EQ(LoggedValues(whole, tag), LoggedValues(pieces, tag)) << tag;
    }
    ASSERT_EQ(result.history.size(), expected.history.size());
    for (size_t e = 0; e < result.history.size(); ++e) {
      EXPECT_EQ(result.history[e].train_loss, expected.history[e].train_loss);
    }
  }
}

// The checkpoint of a step in the middle of an epoch, as a crash would leave it.
TEST(TrainerTest, CheckpointsWithinAnEpochAreResumedToo) {
  const Dataset dataset = LinearJets(300, 100);
  const std::string folder = EmptyTestFolder("run");
  TrainerOptions options = SmallRun();
  options.settings.set_checkpoint_every_n_steps(4);
  std::string of_step_8;
  double n = 0;
  options.terminal = {.interactive = true,
                      .seconds =
                          [&] {
                            // The clock is read after each step, before its checkpoint, and when a
                            // progress line begins: 3 lines, 9 steps, 2 validation batches.
                            if (++n == 14) of_step_8 = Bytes(folder, kLastCheckpoint);
                            return n;
                          },
                      .write = [](absl::string_view) {}};
  Train("jsc-tiny", dataset, options, folder);
  const std::string whole = Bytes(folder, kLastCheckpoint);
  ASSERT_OK(WriteFileAtomically(folder + "/" + kLastCheckpoint, of_step_8));
  options.terminal = {};
  std::string said;
  options.print = [&](absl::string_view line) {
    if (absl::StartsWith(line, "resumed")) said = std::string(line);
  };
  auto trainer = ValueOrDie(Create("jsc-tiny", dataset, options));
  ASSERT_OK(trainer->Restore(folder));
  EXPECT_EQ(said, "resumed after 8 steps, in epoch 1 (of 3) at learning rate 0.0075");
  ASSERT_OK(trainer->Run(folder));
  EXPECT_TRUE(whole == Bytes(folder, kLastCheckpoint));
}

// A trainer of jsc-tiny that goes on in `folder`; its lines are appended to `said`.
absl::StatusOr<std::unique_ptr<Trainer>> Resumed(const Dataset& dataset, TrainerOptions options,
                                                 const std::string& folder,
                                                 std::vector<std::string>& said) {
  options.print = [&said](absl::string_view line) { said.emplace_back(line); };
  auto trainer = ValueOrDie(Create("jsc-tiny", dataset, options));
  const absl::Status status = trainer->Restore(folder);
  if (!status.ok()) return status;
  return trainer;
}

TEST(TrainerTest, AFinishedRunSaysHowToTrainOn) {
  const std::string folder = EmptyTestFolder("run");
  const Dataset dataset = LinearJets(300, 100);
  Train("jsc-tiny", dataset, SmallRun(), folder);
  const std::string before = Bytes(folder, kLastCheckpoint);
  std::vector<std::string> said;
  auto trainer = ValueOrDie(Resumed(dataset, SmallRun(), folder, said));
  EXPECT_THAT(said, IsSupersetOf({std::string("resumed after 15 steps: the run is finished "
                                              "(max_epochs=3)"),
                                  "To train on, for example as long again:\n  --resume=" + folder +
                                      " --max_epochs=6"}));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));
  EXPECT_EQ(result.steps, 15);
  EXPECT_THAT(result.history, SizeIs(3));
  EXPECT_TRUE(before == Bytes(folder, kLastCheckpoint));
}

TEST(TrainerTest, AFinishedRunTrainsOnWithMoreEpochsOrSteps) {
  const Dataset dataset = LinearJets(300, 100);
  TrainerOptions options = SmallRun();
  options.settings.set_max_steps(8);  // Of 5 an epoch: the second is cut.
  const std::string folder = EmptyTestFolder("run");
  EXPECT_THAT(Train("jsc-tiny", dataset, options, folder).history, SizeIs(2));

  options.settings.set_max_steps(-1);
  options.settings.set_max_epochs(5);
  std::vector<std::string> said;
  auto trainer = ValueOrDie(Resumed(dataset, options, folder, said));
  EXPECT_THAT(said, IsSupersetOf({"now max_epochs=5, before 3", "now max_steps=-1, before 8",
                                  "now t_max=5, before 3"}));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));
  EXPECT_OK(result.ending);
  ASSERT_THAT(result.history, SizeIs(5));
  EXPECT_EQ(result.steps, 8 + 3 * 5);
  // The schedule is that of five epochs from here on.
  EXPECT_EQ(result.history[2].rate, CosineSchedule({1e-2, 1e-6, 5}).Rate(2));

  // And once more, with what it has now.
  said.clear();
  ASSERT_OK(Resumed(dataset, options, folder, said));
  EXPECT_THAT(said.back(), HasSubstr(" --max_epochs=10"));
}

TEST(TrainerTest, FewerEpochsOrStepsThanAreDoneAreRefused) {
  const Dataset dataset = LinearJets(300, 100);
  const std::string folder = EmptyTestFolder("run");
  Train("jsc-tiny", dataset, SmallRun(), folder);
  std::vector<std::string> said;
  TrainerOptions options = SmallRun();
  options.settings.set_max_epochs(2);
  EXPECT_THAT(Resumed(dataset, options, folder, said),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_epochs=2 is too few: 3 are begun or done already")));
  options.settings.set_max_epochs(4);
  options.settings.set_max_steps(14);
  EXPECT_THAT(Resumed(dataset, options, folder, said),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("max_steps=14 is too few: 15 are done already")));
}

TEST(TrainerTest, ResumeWithOtherSettingsNamesTheOne) {
  const std::string folder = EmptyTestFolder("run");
  const Dataset dataset = LinearJets(300, 100);
  Train("jsc-tiny", dataset, SmallRun(), folder);
  TrainerOptions other = SmallRun();
  other.settings.set_batch_size(32);
  EXPECT_THAT(ValueOrDie(Create("jsc-tiny", dataset, other))->Restore(folder),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("last.safetensors: cannot go on with batch_size=32, it was made "
                                 "with 64")));
  EXPECT_THAT(
      ValueOrDie(Create("jsc-toy", dataset, SmallRun()))->Restore(folder),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("last.safetensors: lacks 16 of the 22 tensors of model 'jsc-toy'")));
}

TEST(TrainerTest, ResumeWithoutOrWithADamagedCheckpointSaysSo) {
  const std::string folder = EmptyTestFolder("run");
  const Dataset dataset = LinearJets(300, 100);
  auto trainer = ValueOrDie(Create("jsc-tiny", dataset, SmallRun()));
  EXPECT_THAT(trainer->Restore(folder),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("last.safetensors")));
  Train("jsc-tiny", dataset, SmallRun(), folder);
  const std::string path = folder + "/" + kLastCheckpoint;

  const SafeTensors good = ValueOrDie(ReadSafeTensors(path));
  for (const NamedTensor& tensor : good.tensors) {
    if (absl::EndsWith(tensor.name, ".num_batches_tracked")) continue;  // PyTorch's may lack it.
    SafeTensors damaged = good;
    damaged.tensors.clear();
    for (const NamedTensor& other : good.tensors) {
      if (other.name != tensor.name) damaged.tensors.push_back(other);
    }
    ASSERT_OK(WriteSafeTensors(path, damaged));
    EXPECT_THAT(trainer->Restore(folder),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr("last.safetensors"), HasSubstr(tensor.name))));
  }
  ASSERT_OK(WriteFileAtomically(path, Bytes(folder, kBestCheckpoint)));
  EXPECT_THAT(trainer->Restore(folder), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(TrainerTest, ResumeLooksForTheBestNetBeforeItTrains) {
  const std::string folder = EmptyTestFolder("run");
  const Dataset dataset = LinearJets(300, 100);
  Train("jsc-tiny", dataset, SmallRun(), folder);
  auto trainer = ValueOrDie(Create("jsc-tiny", dataset, SmallRun()));
  const std::string path = folder + "/" + kBestCheckpoint, best = Bytes(folder, kBestCheckpoint);
  ASSERT_OK(WriteFileAtomically(path, best.substr(0, best.size() / 2)));
  EXPECT_THAT(trainer->Restore(folder),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("best.safetensors")));
  std::remove(path.c_str());
  EXPECT_THAT(trainer->Restore(folder),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("best.safetensors: cannot open"),
                             HasSubstr("it holds the best net so far, of epoch "))));
  ASSERT_OK(WriteFileAtomically(path, best));
  EXPECT_OK(trainer->Restore(folder));
}

TEST(TrainerTest, SaysHowManyStepsThereWillBe) {
  std::vector<std::string> lines, warnings;
  TrainerOptions options = SmallRun();
  options.print = [&](absl::string_view line) { lines.emplace_back(line); };
  options.warn = [&](absl::string_view line) { warnings.emplace_back(line); };
  ASSERT_OK(Create("jsc-tiny", LinearJets(300, 100), options));
  EXPECT_THAT(lines,
              ::testing::Contains(
                  "5 steps per epoch (batches of 64 rows, the last of 44), 15 steps in all"));
  EXPECT_THAT(warnings, SizeIs(0));

  options.settings.set_accumulate_grad_batches(2);
  options.settings.set_max_steps(7);
  options.settings.set_learning_rate(1e-7);
  ASSERT_OK(Create("jsc-tiny", LinearJets(300, 100), options));
  EXPECT_THAT(lines,
              ::testing::Contains(
                  "3 steps per epoch (5 batches of 64 rows, the last of 44), 7 steps in all"));
  EXPECT_THAT(warnings, ElementsAre("learning rate 1e-07 is below the schedule's floor 1e-06: it "
                                    "will rise from epoch to epoch"));
}

TEST(TrainerTest, MaxStepsCutsAnEpochWhichIsValidated) {
  TrainerOptions options = SmallRun();
  options.settings.set_max_steps(7);
  const TrainingResult result =
      Train("jsc-tiny", LinearJets(300, 100), options, EmptyTestFolder("run"));
  EXPECT_EQ(result.steps, 7);
  EXPECT_THAT(result.history, SizeIs(2));
}

TEST(TrainerTest, ARunThatIsToldToEndAfterAnEpochEndsThere) {
  const std::string folder = EmptyTestFolder("run");
  TrainerOptions options = SmallRun();
  std::vector<double> told;
  options.goes_on = [&](const EpochRecord& record) {
    told.push_back(record.val_loss);
    return record.epoch < 1;
  };
  auto trainer = ValueOrDie(Create("jsc-tiny", LinearJets(300, 100), options));
  const TrainingResult result = ValueOrDie(trainer->Run(folder));
  EXPECT_THAT(result.ending, StatusIs(absl::StatusCode::kCancelled, "ended after epoch 1"));
  EXPECT_EQ(result.steps, 10);
  ASSERT_THAT(result.history, SizeIs(2));
  EXPECT_THAT(told, ElementsAre(result.history[0].val_loss, result.history[1].val_loss));
}

TEST(TrainerTest, NoEpochsWriteTheNetAsItWas) {
  TrainerOptions options = SmallRun();
  options.settings.set_max_epochs(0);
  const std::string folder = EmptyTestFolder("run");
  const TrainingResult result = Train("jsc-tiny", LinearJets(300, 100), options, folder);
  EXPECT_EQ(result.best_epoch, -1);
  EXPECT_TRUE(std::filesystem::exists(folder + "/" + kLastCheckpoint));
  EXPECT_FALSE(std::filesystem::exists(folder + "/" + kBestCheckpoint));
}

TEST(TrainerTest, MaxBatchesLimitsBothPasses) {
  TrainerOptions options = SmallRun();
  options.settings.set_to_debug(true);
  const TrainingResult result =
      Train("jsc-tiny", LinearJets(300, 100), options, EmptyTestFolder("run"));
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.history[0].val_total, 64);
}

TEST(TrainerTest, ALastBatchOfOneRowIsRefusedWhereABatchNormWouldSeeIt) {
  TrainerOptions options = SmallRun();
  EXPECT_THAT(Create("jsc-tiny", LinearJets(129, 100), options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "seq_blocks_0: batch norm cannot train on a batch of one row, and 129 rows "
                       "in batches of 64 end with one; choose another batch size"));
  options.settings.set_batch_size(1);
  EXPECT_THAT(Create("jsc-tiny", LinearJets(10, 10), options),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(Create("Linear 5, ReLU", LinearJets(129, 100), SmallRun()));
}

TEST(TrainerTest, ASplitThatIsMissingOrANetThatDoesNotFitIsNamed) {
  const TrainerOptions options = SmallRun();
  const Dataset whole = LinearJets(300, 100);
  Dataset no_validation(whole.info());
  no_validation.Set(Split::kTrain, [=] { return whole.Get(Split::kTrain); });
  EXPECT_THAT(Create("jsc-tiny", no_validation, options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("validation")));

  DatasetInfo more = whole.info();
  more.class_names.push_back("f");
  Dataset six(more);
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    six.Set(split, [=] { return whole.Get(split); });
  }
  FreshModel five = BuildFresh("jsc-tiny", whole);
  EXPECT_THAT(Trainer::Create(std::move(five.graph), six, five.generator, options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "model 'jsc-tiny' tells 5 classes apart, data set 'linear-jets' has 6"));
}

TEST(TrainerTest, ANetThatHoldsNoNumbersIsRefused) {
  const Dataset whole = LinearJets(300, 100);
  FreshModel fresh = BuildFresh("Linear 5", whole);
  fresh.graph.MutableTensor("seq_blocks.0.bias")->mutable_data<float>()[0] = NAN;
  EXPECT_THAT(Trainer::Create(std::move(fresh.graph), whole, fresh.generator, SmallRun()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("cannot be trained: tensor 'seq_blocks.0.bias' holds nan")));
}

// No checkpoint of a run ever holds a number that is none.
void ExpectFiniteCheckpoints(const std::string& folder) {
  for (const char* file : {kBestCheckpoint, kLastCheckpoint}) {
    if (!std::filesystem::exists(absl::StrCat(folder, "/", file))) continue;
    EXPECT_EQ(FindNonFinite(*ValueOrDie(LoadCheckpoint(folder + "/" + file)).graph), "") << file;
  }
}

TEST(TrainerTest, ALossThatIsNoNumberEndsTheRunAsFailed) {
  for (const char* model : {"jsc-tiny", "Linear 5", kOpByOpNet}) {
    for (const double rate : {1e30, 1e300}) {
      SCOPED_TRACE(testing::Message() << model << " " << rate);
      TrainerOptions options = SmallRun();
      options.settings.set_learning_rate(rate);
      options.settings.set_training_optimizer("sgd");
      const std::string folder = EmptyTestFolder("run");
      const TrainingResult result = Train(model, LinearJets(300, 100), options, folder);
      EXPECT_THAT(
          result.ending,
          StatusIs(absl::StatusCode::kOutOfRange,
                   AllOf(HasSubstr("epoch 0, step "), HasSubstr("learning rate 1e+"),
                         HasSubstr("Kept: no epoch had ended"),
                         HasSubstr("Try --learning-rate=0.001"), HasSubstr("--resume=" + folder))));
      EXPECT_EQ(result.best_epoch, -1);
      ExpectFiniteCheckpoints(folder);
      EXPECT_THAT(result.files, ::testing::Not(::testing::Contains(kBestCheckpoint)));
    }
  }
}

TEST(TrainerTest, TheBestEpochBeforeTheLossFailsIsKeptAndTrainingGoesOnFromIt) {
  const Dataset dataset = LinearJets(300, 100);
  const std::string folder = EmptyTestFolder("run");
  TrainerOptions options = SmallRun();
  options.settings.set_training_optimizer("sgd");
  options.settings.set_max_epochs(1);
  Train("Linear 5", dataset, options, folder);
  const std::string best = Bytes(folder, kBestCheckpoint), last = Bytes(folder, kLastCheckpoint);

  options.settings.set_max_epochs(4);
  options.settings.set_learning_rate(1e300);
  auto wild = ValueOrDie(Create("Linear 5", dataset, options));
  ASSERT_OK(wild->Restore(folder));
  const TrainingResult failed = ValueOrDie(wild->Run(folder));
  EXPECT_THAT(failed.ending, StatusIs(absl::StatusCode::kOutOfRange,
                                      HasSubstr("best.safetensors is the net of epoch 0")));
  EXPECT_EQ(failed.best_epoch, 0);
  EXPECT_TRUE(best == Bytes(folder, kBestCheckpoint));
  EXPECT_TRUE(last == Bytes(folder, kLastCheckpoint));

  options.settings.set_learning_rate(1e-3);
  auto tame = ValueOrDie(Create("Linear 5", dataset, options));
  ASSERT_OK(tame->Restore(folder));
  const TrainingResult result = ValueOrDie(tame->Run(folder));
  EXPECT_OK(result.ending);
  EXPECT_THAT(result.history, SizeIs(4));
}

TEST(TrainerTest, AScheduleShorterThanTheRunIsWarnedOf) {
  std::vector<std::string> warnings;
  TrainerOptions options = SmallRun();
  options.warn = [&](absl::string_view line) { warnings.emplace_back(line); };
  options.settings.set_t_max(2);
  ASSERT_OK(Create("jsc-tiny", LinearJets(300, 100), options));
  EXPECT_THAT(warnings, ElementsAre("the schedule's t_max=2 is shorter than the 3 epochs of the "
                                    "run: the learning rate is at its floor 1e-06 in epoch 2 and "
                                    "rises again after it"));
  warnings.clear();
  options.settings.set_max_steps(10);  // Two epochs.
  ASSERT_OK(Create("jsc-tiny", LinearJets(300, 100), options));
  options.settings.set_t_max(30);
  ASSERT_OK(Create("jsc-tiny", LinearJets(300, 100), options));
  EXPECT_THAT(warnings, SizeIs(0));
}

}  // namespace
}  // namespace mase
