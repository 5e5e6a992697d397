// Whole shuffled epochs through the Trainer, log and checkpoints included, beside the steps alone:
//
//   OMP_NUM_THREADS=1 ./bazelw run //mase/train:train_benchmark
//
// items_per_second are rows.
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "mase/data/batch_sampler.h"
#include "mase/train/flush_denormals.h"
#include "mase/train/learner.h"
#include "mase/train/testing_data.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

constexpr int64_t kRows = 789'444;
constexpr const char* kMlp = "Linear 64, ReLU, Linear 32, ReLU, Linear 32, ReLU, Linear 5";
constexpr const char* kMlpNorm =
    "Linear 64, BN, ReLU, Linear 32, BN, ReLU, Linear 32, BN, ReLU, Linear 5";
constexpr const char* kTiny = "jsc-tiny";

const Dataset& Data() {
  static const auto& dataset = *new Dataset(LinearJets(kRows, 5));
  return dataset;
}

// The learner alone, rows in random order.
void BM_Steps(benchmark::State& state, const char* model) {
  const SplitData train = Data().Get(Split::kTrain).value();
  const auto learner = Learner::Create(BuildFresh(model, Data()).graph, 5, {}).value();
  BatchSampler sampler(train.rows(), state.range(0), /*shuffle=*/true);
  TorchGenerator generator(0);
  sampler.StartPass(generator);
  int64_t batch = 0, rows = 0;
  const FlushDenormals flush;
  for (auto _ : state) {
    const absl::Span<const int64_t> picked = sampler.Batch(batch);
    benchmark::DoNotOptimize(learner->AddBatch(train, picked, 1).value());
    learner->Step(1e-3);
    rows += static_cast<int64_t>(picked.size());
    batch = (batch + 1) % sampler.batches();
  }
  state.SetItemsProcessed(rows);
}

void BM_Epoch(benchmark::State& state, const char* model) {
  const std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/mase_train_benchmark");
  for (auto _ : state) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    FreshModel fresh = BuildFresh(model, Data());
    TrainerOptions options;
    options.batch_size = state.range(0);
    options.max_epochs = 1;
    auto trainer =
        Trainer::Create(std::move(fresh.graph), Data(), fresh.generator, options).value();
    state.SetIterationTime(trainer->Run(folder).value().history[0].seconds);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

#define MASE_TRAIN_BENCHMARK(model)                                                           \
  BENCHMARK_CAPTURE(BM_Steps, model, model)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096);         \
  BENCHMARK_CAPTURE(BM_Epoch, model, model)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096)->UseManualTime()

MASE_TRAIN_BENCHMARK(kMlp);
MASE_TRAIN_BENCHMARK(kMlpNorm);
MASE_TRAIN_BENCHMARK(kTiny);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
