// Training and evaluation speed; items_per_second are rows. benchmarks/compare_training.py puts
// PyTorch's beside it.
//
//   OMP_NUM_THREADS=1 ./bazelw run //mase/train:train_benchmark
//
//   BM_Steps     steps of Adam on rows in random order, nothing else
//   BM_QuantizedSteps  the same with linear layers simulated in integer 8/4
//   BM_Epoch     whole shuffled epochs through the Trainer, log and checkpoints included
//   BM_Evaluate  inference, loss and accuracy of 166,000 rows; of 64 images
//   BM_Images    steps of Adam on 64 images of 3 x 32 x 32
//   BM_*Bf16     the same with operands of bfloat16
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "mase/base/flush_subnormals.h"
#include "mase/data/batch_sampler.h"
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

// 128 images of noise.
Dataset Noise() {
  Dataset dataset({.name = "noise",
                   .kind = "generated images",
                   .class_names = std::vector<std::string>(10, "class"),
                   .sample_shape = {3, 32, 32}});
  const auto make = []() -> absl::StatusOr<SplitData> {
    SplitData data{Tensor(DType::kFloat32, {128, 3, 32, 32}), Tensor(DType::kInt64, {128}), ""};
    TorchGenerator generator(0);
    generator.FillNormal(data.features.mutable_data<float>(), 0, 1);
    for (int64_t& label : data.labels.mutable_data<int64_t>()) label = generator.Int63() % 10;
    return data;
  };
  for (const Split split : {Split::kTrain, Split::kValidation}) dataset.Set(split, make);
  return dataset;
}

void Steps(benchmark::State& state, const Graph& graph, const Dataset& dataset,
           Precision precision = Precision::kFloat32) {
  const SplitData train = dataset.Get(Split::kTrain).value();
  const auto learner = Learner::Create(graph, {.precision = precision}).value();
  BatchSampler sampler(train.rows(), state.range(0), /*shuffle=*/true);
  TorchGenerator generator(0);
  sampler.StartPass(generator);
  int64_t batch = 0, rows = 0;
  const FlushSubnormalsEverywhere flush;
  for (auto _ : state) {
    const absl::Span<const int64_t> picked = sampler.Batch(batch);
    benchmark::DoNotOptimize(learner->AddBatch(train, picked, 1).value());
    learner->Step(1e-3);
    rows += static_cast<int64_t>(picked.size());
    batch = (batch + 1) % sampler.batches();
  }
  state.SetItemsProcessed(rows);
}

void Evaluation(benchmark::State& state, const char* model, const Dataset& dataset, int64_t rows) {
  SplitData data = dataset.Get(Split::kTrain).value();
  data.features = data.features.Rows(0, rows);
  data.labels = data.labels.Rows(0, rows);
  const auto learner = Learner::Create(BuildFresh(model, dataset).graph, {}).value();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        learner->Evaluate(data, state.range(0), [](int64_t) { return true; }).value());
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

void BM_Steps(benchmark::State& state, const char* model) {
  Steps(state, BuildFresh(model, Data()).graph, Data());
}
void BM_QuantizedSteps(benchmark::State& state, const char* model) {
  Graph graph = BuildFresh(model, Data()).graph;
  QuantizeNodes("linear", "integer { width: 8 frac_width: 4 }", graph);
  Steps(state, graph, Data());
}
void BM_Images(benchmark::State& state, const char* model) {
  const Dataset noise = Noise();
  Steps(state, BuildFresh(model, noise).graph, noise);
}
void BM_StepsBf16(benchmark::State& state, const char* model) {
  Steps(state, BuildFresh(model, Data()).graph, Data(), Precision::kBfloat16);
}
void BM_ImagesBf16(benchmark::State& state, const char* model) {
  const Dataset noise = Noise();
  Steps(state, BuildFresh(model, noise).graph, noise, Precision::kBfloat16);
}
void BM_Evaluate(benchmark::State& state, const char* model) {
  Evaluation(state, model, Data(), 166'000);
}
void BM_EvaluateImages(benchmark::State& state, const char* model) {
  Evaluation(state, model, Noise(), 64);
}

void BM_Epoch(benchmark::State& state, const char* model) {
  const std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/mase_train_benchmark");
  for (auto _ : state) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    FreshModel fresh = BuildFresh(model, Data());
    TrainerOptions options;
    options.settings.set_batch_size(static_cast<int32_t>(state.range(0)));
    options.settings.set_max_epochs(1);
    auto trainer =
        Trainer::Create(std::move(fresh.graph), Data(), fresh.generator, options).value();
    state.SetIterationTime(trainer->Run(folder).value().history[0].seconds);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void Batches(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t batch : {64, 256, 1024, 4096}) benchmark->Arg(batch);
}

BENCHMARK_CAPTURE(BM_Steps, mlp, kMlp)->Apply(Batches);
BENCHMARK_CAPTURE(BM_Steps, mlp_norm, kMlpNorm)->Apply(Batches);
BENCHMARK_CAPTURE(BM_Steps, jsc_tiny, kTiny)->Apply(Batches);
BENCHMARK_CAPTURE(BM_QuantizedSteps, mlp, kMlp)->Apply(Batches);
BENCHMARK_CAPTURE(BM_QuantizedSteps, jsc_tiny, kTiny)->Apply(Batches);
BENCHMARK_CAPTURE(BM_Epoch, mlp, kMlp)->Apply(Batches)->UseManualTime();
BENCHMARK_CAPTURE(BM_Epoch, mlp_norm, kMlpNorm)->Apply(Batches)->UseManualTime();
BENCHMARK_CAPTURE(BM_Epoch, jsc_tiny, kTiny)->Apply(Batches)->UseManualTime();
BENCHMARK_CAPTURE(BM_Evaluate, jsc_tiny, kTiny)->Arg(256);
BENCHMARK_CAPTURE(BM_Evaluate, mlp_norm, kMlpNorm)->Arg(256);
BENCHMARK_CAPTURE(BM_Images, vgg7, "vgg7")->Arg(64)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Images, resnet18, "resnet18")
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_StepsBf16, mlp, kMlp)->Apply(Batches);
BENCHMARK_CAPTURE(BM_StepsBf16, jsc_tiny, kTiny)->Apply(Batches);
BENCHMARK_CAPTURE(BM_ImagesBf16, vgg7, "vgg7")
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_ImagesBf16, resnet18, "resnet18")
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_EvaluateImages, vgg7, "vgg7")
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_EvaluateImages, resnet18, "resnet18")
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
