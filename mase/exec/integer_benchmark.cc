// Integer inference beside simulated and float of the same nets, and linear layers beside oneDNN's
// own matmul of uint8 by int8.
//   OMP_NUM_THREADS=1 ./bazelw run //mase/exec:integer_benchmark -- --benchmark_filter=linear
#include <time.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/base/random.h"
#include "mase/exec/aligned.h"
#include "mase/exec/executor.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/ops.h"
#include "mase/kernel/integer/tile.h"
#include "mase/kernel/kernel.h"
#include "mase/model/zoo.h"
#include "mase/testing/numerics/test_net.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {
namespace {

constexpr char kInteger[] = "integer { width: 8 frac_width: 4 }";
constexpr char kGeneral[] = "affine { width: 8 is_signed: true scale: 0.07 }";

// Gives every layer with a weight a record, as the labs do: data, weight and bias in 8 bits.
Graph Quantized(Graph graph, const std::string& format = kInteger) {
  for (Node* node : graph.NodesInOrder()) {
    if (!node->Is(OpTrait::kWeighted)) continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      if (name == operands::kBias && node->FindParameter(name) == nullptr) continue;
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      CHECK(google::protobuf::TextFormat::ParseFromString(format, operand->mutable_format()));
    }
    graph.SetQuantization(node, record);
  }
  return graph;
}

Graph ZooNet(const std::string& model, const Shape& input, int64_t classes) {
  return BuildModel({.model = model, .input = input, .classes = classes}).value();
}

// 16 features, two blocks "linear, norm, ReLU, linear, norm, plus what the block reads, ReLU" of
// 64, and 5 classes.
Graph ResidualNet() {
  TestNet net({1, 16});
  const auto layer = [&](Value* x, int64_t in, int64_t out) {
    x = net.Module("linear", {x}, {{"in_features", in}, {"out_features", out}});
    return net.Module("batch_norm1d", {x}, {{"num_features", out}});
  };
  Value* x = net.Module("relu", {layer(net.input(), 16, 64)});
  for (int i = 0; i < 2; ++i) {
    Value* const y = layer(net.Module("relu", {layer(x, 64, 64)}), 64, 64);
    x = net.Module("relu", {net.Function("add", {y, x})});
  }
  return net.Finish({layer(x, 64, 5)});
}

// Two blocks "3x3 of each channel by itself, norm, ReLU, 1x1, norm, ReLU" of 64 channels.
Graph DepthwiseNet() {
  TestNet net({1, 64, 32, 32});
  const auto layer = [&](Value* x, int64_t side, int64_t groups) {
    x = net.Module("conv2d", {x},
                   {{"in_channels", int64_t{64}},
                    {"out_channels", int64_t{64}},
                    {"kernel_size", std::vector<int64_t>{side, side}},
                    {"padding", std::vector<int64_t>{side / 2, side / 2}},
                    {"groups", groups}});
    return net.Module("relu", {net.Module("batch_norm2d", {x}, {{"num_features", int64_t{64}}})});
  };
  Value* x = net.input();
  for (int i = 0; i < 2; ++i) x = layer(layer(x, 3, 64), 1, 1);
  return net.Finish({x});
}

// Of the thread's own time, the least of many calls: what a busy machine disturbs least.
template <typename Call>
double LeastMilliseconds(const Call& call) {
  const auto now = [] {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
  };
  constexpr int kMostCalls = 200;
  constexpr double kMilliseconds = 500;
  double least = std::numeric_limits<double>::infinity();
  const double begun = now();
  for (int call_number = 0; call_number < kMostCalls && now() - begun < kMilliseconds;
       ++call_number) {
    const double start = now();
    call();
    least = std::min(least, now() - start);
  }
  return least;
}

void RunGraph(benchmark::State& state, const Graph& graph, const Shape& input) {
  const auto execution = static_cast<Execution>(state.range(0));
  const int64_t rows = state.range(1);
  std::vector<float> x(rows * input.elements());
  TorchGenerator(1).FillUniform(absl::MakeSpan(x), -1, 1);
  auto executor = Executor::Create(graph, {.execution = execution}).value();
  // The first call compiles and packs.
  CHECK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}).ok());
  for (auto _ : state) {
    CHECK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}).ok());
  }
  state.SetLabel(ExecutionName(execution));
  state.SetItemsProcessed(state.iterations() * rows);
  if (input.rank() == 3) {
    state.counters["least_ms"] = LeastMilliseconds(
        [&] { CHECK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}).ok()); });
  }
}

void Run(benchmark::State& state, const std::string& model, const Shape& input, int64_t classes) {
  RunGraph(state, Quantized(ZooNet(model, input, classes)), input);
}

// Steps that are no powers of two.
void GeneralScales(benchmark::State& state) {
  RunGraph(state, Quantized(ZooNet("jsc-s", {16}, 5), kGeneral), {16});
}

void Depthwise(benchmark::State& state) {
  RunGraph(state, Quantized(DepthwiseNet()), {64, 32, 32});
}

void Residual(benchmark::State& state) { RunGraph(state, Quantized(ResidualNet()), {16}); }

// The kernel of a linear layer alone, from codes to float32, as it reads what another integer layer
// made: what the primitive below does, too.
void RunLinear(benchmark::State& state, const Codes& codes, const WeightCodes& weights) {
  const int64_t n = state.range(0), rows = state.range(1);
  const Attributes attributes = {{"in_features", n}, {"out_features", n}, {"bias", false}};
  KernelSpec spec = {.op = ops::kLinear,
                     .kernel = "integer_linear",
                     .attributes = &attributes,
                     .srcs = {{{rows, n}, Layout::kPlain, DType::kUInt8, codes}},
                     .dst = {{rows, n}},
                     .tensors = {"weight"},
                     .weight = weights};
  const auto kernel = CreateKernel(spec).value();
  std::vector<float> weight(n * n, weights.scales[0]);
  // On lines of the cache, as the executor's and oneDNN's memory is.
  const AlignedBytes src(rows * n), dst(rows * n * 4);
  const AlignedBytes prepared(kernel->prepared_bytes()), scratch(kernel->scratch_bytes());
  std::memset(src.data(), codes.hi, static_cast<size_t>(src.size()));
  const void* srcs[] = {src.data()};
  void* tensors[] = {weight.data()};
  const KernelArgs args = {.srcs = srcs,
                           .tensors = tensors,
                           .dst = dst.data(),
                           .prepared = prepared.data(),
                           .scratch = scratch.data()};
  CHECK(kernel->Prepare(args).ok());
  for (auto _ : state) CHECK(kernel->Forward(args).ok());
  state.SetLabel(std::string(kernel->facts().isa));
  state.SetItemsProcessed(state.iterations() * rows * n * n);
}

void LinearOfCodes(benchmark::State& state) {
  RunLinear(state, {.scale = 0.0625f, .zero = 128},
            {.least = -128, .most = 127, .scales = {0.0625f}});
}

// Weights -1, 0 and 1, inputs of range(2) bits; range(3): bit by bit, where the machine can.
void LinearOfSigns(benchmark::State& state) {
  if (!SetPopcountForTest(state.range(3) != 0)) return state.SkipWithError("no VPOPCNTDQ");
  const int bits = static_cast<int>(state.range(2));
  RunLinear(state, {.zero = 0, .hi = (1 << bits) - 1}, {.least = -1, .most = 1, .scales = {1.0f}});
  SetPopcountForTest(true);
}

// The primitive alone: codes in, float32 out, weights reordered before.
void OneDnnMatmul(benchmark::State& state) {
  using dnnl::memory;
  const int64_t n = state.range(0), rows = state.range(1);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc src({rows, n}, memory::data_type::u8, memory::format_tag::ab);
  const memory::desc any({n, n}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc dst({rows, n}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_output_scales(0, {0.5f});
  const dnnl::matmul::primitive_desc desc({src, any, dst}, attributes, engine);
  memory a(src, engine), b(desc.weights_desc(), engine), c(dst, engine);
  dnnl::matmul matmul(desc);
  for (auto _ : state) {
    matmul.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
  }
  state.SetLabel(desc.impl_info_str());
  state.SetItemsProcessed(state.iterations() * rows);
}

void AllWays(benchmark::internal::Benchmark* benchmark, const std::vector<int64_t>& rows) {
  for (const int64_t count : rows) {
    for (const int64_t way : {0, 1, 2}) benchmark->Args({way, count});
  }
  benchmark->UseRealTime();
}
void Jets(benchmark::internal::Benchmark* benchmark) { AllWays(benchmark, {1, 1024, 16384}); }
void Layers(benchmark::internal::Benchmark* benchmark) { AllWays(benchmark, {1, 1024}); }
void Images(benchmark::internal::Benchmark* benchmark) {
  AllWays(benchmark->Unit(benchmark::kMillisecond), {1, 64});
}

const Shape kImage = {3, 32, 32};
BENCHMARK_CAPTURE(Run, jsc_tiny, "jsc-tiny", Shape{16}, 5)->Apply(Jets);
BENCHMARK_CAPTURE(Run, jsc_s, "jsc-s", Shape{16}, 5)->Apply(Jets);
BENCHMARK_CAPTURE(Run, jsc_toy, "jsc-toy", Shape{16}, 5)->Apply(Jets);
BENCHMARK_CAPTURE(Run, jsc_toy10x, "jsc-toy10x", Shape{16}, 5)->Apply(Jets);
BENCHMARK(GeneralScales)->Apply(Jets);
BENCHMARK(Residual)->Apply(Jets);
BENCHMARK_CAPTURE(Run, linear256, "Linear 256", Shape{256}, 256)->Apply(Layers);
BENCHMARK_CAPTURE(Run, linear512, "Linear 512", Shape{512}, 512)->Apply(Layers);
BENCHMARK_CAPTURE(Run, linear1024, "Linear 1024", Shape{1024}, 1024)->Apply(Layers);
BENCHMARK(LinearOfCodes)->Args({256, 1024})->Args({512, 1024})->Args({1024, 1024})->UseRealTime();
BENCHMARK(LinearOfSigns)->ArgsProduct({{96, 256, 1024}, {1024}, {1, 2}, {0, 1}})->UseRealTime();
BENCHMARK(OneDnnMatmul)->Args({256, 1024})->Args({512, 1024})->Args({1024, 1024})->UseRealTime();
BENCHMARK(Depthwise)->Apply(Images);
BENCHMARK_CAPTURE(Run, vgg7, "vgg7", kImage, 10)->Apply(Images);
BENCHMARK_CAPTURE(Run, resnet18, "resnet18", kImage, 10)->Apply(Images);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
