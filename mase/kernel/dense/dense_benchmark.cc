// Training speed of small nets: gather, forward, loss, backward and Adam, in rows a second. Rows
// are picked at random from 200,000, as a shuffled epoch does. For inference see
// executor_benchmark.
//
//   OMP_NUM_THREADS=1 ./bazelw run //mase/kernel/dense:dense_benchmark
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "mase/base/isa.h"
#include "mase/kernel/dense/dense.h"
#include "mase/kernel/dense/optimizer_step.h"

namespace mase {
namespace {

constexpr int64_t kRows = 200'000;
constexpr int64_t kFeatures = 16;
constexpr int64_t kClasses = 5;

// Layers with tensors placed one after the other, each on its own cache line; `offsets` are where,
// in buffers or else in parameters.
struct Chain {
  void Add(DenseLayer::Kind kind, int64_t out) {
    DenseLayer layer;
    layer.kind = kind;
    layer.in = layers.empty() ? kFeatures : layers.back().out;
    layer.out = out;
    if (kind == DenseLayer::Kind::kLinear) {
      layer.weight = Place(false, layer.in * out);
      layer.bias = Place(false, out);
    } else if (kind == DenseLayer::Kind::kBatchNorm) {
      if (!layers.empty() && layers.back().bias >= 0)
        without_gradient.push_back(layers.back().bias);
      layer.weight = Place(false, out);
      layer.bias = Place(false, out);
      layer.running_mean = Place(true, out);
      layer.running_var = Place(true, out);
    }
    layers.push_back(layer);
  }
  int Place(bool buffer, int64_t size) {
    int64_t& end = buffer ? buffers : parameters;
    offsets.push_back(end);
    is_buffer.push_back(buffer);
    end += (size + 15) / 16 * 16;
    return static_cast<int>(offsets.size()) - 1;
  }

  std::vector<DenseLayer> layers;
  std::vector<int64_t> offsets;
  std::vector<bool> is_buffer;
  std::vector<int> without_gradient;  // Biases before a batch norm.
  int64_t parameters = 0;
  int64_t buffers = 0;
};

using Kind = DenseLayer::Kind;

Chain Mlp(bool norm) {
  Chain chain;
  for (int64_t out : {64, 32, 32}) {
    chain.Add(Kind::kLinear, out);
    if (norm) chain.Add(Kind::kBatchNorm, out);
    chain.Add(Kind::kRelu, out);
  }
  chain.Add(Kind::kLinear, kClasses);
  return chain;
}

Chain PlainMlp() { return Mlp(false); }
Chain NormMlp() { return Mlp(true); }

Chain JscTiny() {
  Chain chain;
  chain.Add(Kind::kBatchNorm, kFeatures);
  chain.Add(Kind::kRelu, kFeatures);
  chain.Add(Kind::kLinear, kClasses);
  chain.Add(Kind::kRelu, kClasses);
  return chain;
}

// A net with everything it needs; 64-byte aligned.
struct Setup {
  explicit Setup(const Chain& chain, int64_t rows)
      : net(*DenseNet::Create(chain.layers)),
        size(chain.parameters),
        storage(5 * chain.parameters + chain.buffers + net.WorkspaceFloats(rows) + 64),
        features(kRows * kFeatures),
        labels(kRows),
        order(kRows) {
    std::mt19937 random(0);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& x : features) x = uniform(random);
    for (int64_t& label : labels) label = static_cast<int64_t>(random() % kClasses);
    for (int64_t i = 0; i < kRows; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    float* next = storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64) / 4;
    const auto take = [&](int64_t n) {
      next += n;
      return next - n;
    };
    parameters = take(size);
    gradients = take(size);
    first_moments = take(size);
    second_moments = take(size);
    float* buffers = take(chain.buffers);
    for (size_t i = 0; i < chain.offsets.size(); ++i) {
      pointers.push_back((chain.is_buffer[i] ? buffers : parameters) + chain.offsets[i]);
      diff_pointers.push_back(chain.is_buffer[i] ? nullptr : gradients + chain.offsets[i]);
    }
    for (const int tensor : chain.without_gradient) diff_pointers[tensor] = nullptr;
    tensors = {pointers.data(), diff_pointers.data(), next};
    for (int64_t i = 0; i < size; ++i) parameters[i] = 0.25f * uniform(random);
    std::fill_n(buffers, chain.buffers, 1.0f);
  }

  DenseNet net;
  int64_t size;
  std::vector<float> storage;
  std::vector<float> features;
  std::vector<int64_t> labels;
  std::vector<int64_t> order;
  float* parameters;
  float* gradients;
  float* first_moments;
  float* second_moments;
  std::vector<void*> pointers, diff_pointers;
  DenseTensors tensors;
};

void Train(benchmark::State& state, Chain (*chain)()) {
  const int64_t batch = state.range(0);
  if (!SetIsaForTest(static_cast<Isa>(state.range(1)))) return state.SkipWithError("no such ISA");
  Setup setup(chain(), batch);
  AdamStepOptions adam;
  int64_t first = 0;
  for (auto _ : state) {
    const DenseRows rows = {setup.features.data(), setup.order.data() + first, batch};
    const ClassificationLoss loss = setup.net.TrainStep(rows, setup.labels.data(), setup.tensors);
    AdamStep(adam, setup.size, setup.gradients, setup.parameters, setup.first_moments,
             setup.second_moments);
    benchmark::DoNotOptimize(loss.loss);
    ++adam.step;
    first = first + 2 * batch <= kRows ? first + batch : 0;
  }
  state.SetItemsProcessed(state.iterations() * batch);
  state.SetLabel(std::string(IsaName(CurrentIsa())));
}

void Adam(benchmark::State& state) {
  const int64_t n = state.range(0);
  if (!SetIsaForTest(static_cast<Isa>(state.range(1)))) return state.SkipWithError("no such ISA");
  std::vector<float> parameters(n, 1.0f), gradients(n, 0.1f), first(n), second(n);
  AdamStepOptions options;
  for (auto _ : state) {
    AdamStep(options, n, gradients.data(), parameters.data(), first.data(), second.data());
    ++options.step;
  }
  state.SetItemsProcessed(state.iterations() * n);
  state.SetLabel(std::string(IsaName(CurrentIsa())));
}

constexpr int64_t kIsas[] = {static_cast<int64_t>(Isa::kAvx512), static_cast<int64_t>(Isa::kAvx2),
                             static_cast<int64_t>(Isa::kBaseline)};

void Batches(benchmark::internal::Benchmark* benchmark) {
  for (int64_t isa : kIsas) {
    for (int64_t batch : {64, 256, 1024, 4096}) benchmark->Args({batch, isa});
  }
  benchmark->UseRealTime();
}

void Parameters(benchmark::internal::Benchmark* benchmark) {
  for (int64_t isa : kIsas) benchmark->Args({4'336, isa});
}

BENCHMARK_CAPTURE(Train, mlp, PlainMlp)->Apply(Batches);
BENCHMARK_CAPTURE(Train, mlp_norm, NormMlp)->Apply(Batches);
BENCHMARK_CAPTURE(Train, jsc_tiny, JscTiny)->Apply(Batches);
BENCHMARK(Adam)->Apply(Parameters);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
