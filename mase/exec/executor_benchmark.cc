// Steps of training and evaluation of whole nets, and simulated inference of a small MLP.
//   OMP_NUM_THREADS=1 ./bazelw run //mase/exec:executor_benchmark -- --benchmark_filter=vgg7
// A training step here is forward and backward; the optimizer's loop comes on top.
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/base/isa.h"
#include "mase/base/random.h"
#include "mase/exec/executor.h"
#include "mase/model/zoo.h"

namespace mase {
namespace {

constexpr int64_t kClasses = 10;
constexpr char kMlp[] = "Linear 64, ReLU, Linear 32, ReLU, Linear 32, ReLU, Linear classes";
constexpr char kMlpNorm[] =
    "Linear 64, BN, ReLU, Linear 32, BN, ReLU, Linear 32, BN, ReLU, Linear classes";

// Steps of one executor on random rows.
void RunSteps(benchmark::State& state, const Graph& graph, ExecutionMode mode) {
  const int64_t rows = state.range(0);
  Shape input = graph.placeholders()[0]->outputs()[0]->shape();
  input.set_dim(0, rows);
  std::vector<float> x(input.elements());
  TorchGenerator(1).FillUniform(absl::MakeSpan(x), -1, 1);
  auto executor = Executor::Create(graph).value();
  CHECK(executor->Forward(mode, rows, {x.data()}).ok());
  const std::vector<float> diff(executor->output().size(), 0.01f);
  for (auto _ : state) {
    CHECK(executor->Forward(mode, rows, {x.data()}).ok());
    if (mode == ExecutionMode::kTraining) CHECK(executor->Backward({diff.data()}).ok());
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

void Evaluate(benchmark::State& state, const std::string& model, const Shape& input) {
  RunSteps(state, BuildModel({.model = model, .input = input, .classes = kClasses}).value(),
           ExecutionMode::kInference);
}

void Train(benchmark::State& state, const std::string& model, const Shape& input) {
  RunSteps(state, BuildModel({.model = model, .input = input, .classes = kClasses}).value(),
           ExecutionMode::kTraining);
}

// The format's text is that of FormatProto.
void Simulate(benchmark::State& state, const std::string& format) {
  Graph graph = BuildModel({.model = kMlp, .input = {16}, .classes = kClasses}).value();
  for (Node* node : graph.NodesInOrder()) {
    if (node->op() != "linear") continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      CHECK(google::protobuf::TextFormat::ParseFromString(format, operand->mutable_format()));
    }
    graph.SetQuantization(node, record);
  }
  RunSteps(state, graph, ExecutionMode::kInference);
}

void Create(benchmark::State& state, const std::string& model) {
  const Graph graph = BuildModel({.model = model, .input = {16}, .classes = kClasses}).value();
  const std::vector<float> x(1024 * 16);
  for (auto _ : state) {
    auto executor = Executor::Create(graph).value();
    CHECK(executor->Forward(ExecutionMode::kInference, 1000, {x.data()}).ok());
  }
}

// The arithmetic bound: multiply-adds a second of one core whose operands are in registers. A net
// of M of them a row runs at most items_per_second / M rows a second; M is 4,416 of kMlp, with 10
// classes.
void Bound(benchmark::State& state) {
  typedef float Vector __attribute__((vector_size(64)));
  constexpr int kSums = 8, kSteps = 1000;  // Enough chains to fill two units.
  for (auto _ : state) {
    float result = 0;
    ForBestIsa([&] {
      Vector sums[kSums] = {}, factor = Vector{} + 0.5f;
      asm volatile("" : "+m"(factor));
      for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 8
        for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + factor;
      }
      for (int i = 0; i < kSums; ++i) result += sums[i][0];
    });
    benchmark::DoNotOptimize(result);
  }
  state.SetItemsProcessed(state.iterations() * kSums * kSteps * 16);
}

const Shape kImage = {3, 32, 32};
BENCHMARK(Bound);
BENCHMARK_CAPTURE(Train, vgg7, "vgg7", kImage)
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Evaluate, vgg7, "vgg7", kImage)
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Train, resnet18, "resnet18", kImage)
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Evaluate, resnet18, "resnet18", kImage)
    ->Arg(64)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Train, mlp, kMlp, Shape{16})->Arg(256)->Arg(1024)->UseRealTime();
BENCHMARK_CAPTURE(Evaluate, mlp, kMlp, Shape{16})->Arg(1)->Arg(1024)->Arg(166'000)->UseRealTime();
BENCHMARK_CAPTURE(Evaluate, mlp_norm, kMlpNorm, Shape{16})->Arg(1)->Arg(1024)->UseRealTime();
BENCHMARK_CAPTURE(Train, jsc_tiny, "jsc-tiny", Shape{16})->Arg(256)->Arg(1024)->UseRealTime();
BENCHMARK_CAPTURE(Evaluate, jsc_tiny, "jsc-tiny", Shape{16})->Arg(1024)->UseRealTime();
BENCHMARK_CAPTURE(Simulate, integer, "integer { width: 8 frac_width: 4 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, minifloat, "minifloat_ieee { width: 8 exponent_width: 4 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, block_fp, "block_fp { width: 8 exponent_width: 8 block_size: 16 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, minifloat_denorm, "minifloat_denorm { width: 8 exponent_width: 4 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, log, "log { width: 8 }")->Arg(1)->Arg(1024)->UseRealTime();
BENCHMARK_CAPTURE(
    Simulate, block_minifloat,
    "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 16 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, block_log,
                  "block_log { width: 8 exponent_bias_width: 8 block_size: 16 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, mxint, "mxint { block_size: 16 element_bits: 8 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Simulate, mxfp,
                  "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 }")
    ->Arg(1)
    ->Arg(1024)
    ->UseRealTime();
BENCHMARK_CAPTURE(Create, jsc_tiny, "jsc-tiny")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
