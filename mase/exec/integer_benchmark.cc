// Integer inference beside simulated and float of the same nets, and linear layers beside oneDNN's
// own matmul of uint8 by int8.
//   OMP_NUM_THREADS=1 ./bazelw run //mase/exec:integer_benchmark -- --benchmark_filter=linear
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/base/random.h"
#include "mase/exec/executor.h"
#include "mase/graph/op_schema.h"
#include "mase/model/zoo.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {
namespace {

constexpr char kInteger[] = "integer { width: 8 frac_width: 4 }";

// Every layer with a weight has a record, as the labs give: data, weight and bias in 8 bits.
Graph QuantizedNet(const std::string& model, const Shape& input, int64_t classes) {
  Graph graph = BuildModel({.model = model, .input = input, .classes = classes}).value();
  for (Node* node : graph.NodesInOrder()) {
    if (!node->Is(OpTrait::kWeighted)) continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      if (name == operands::kBias && node->FindParameter(name) == nullptr) continue;
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      CHECK(google::protobuf::TextFormat::ParseFromString(kInteger, operand->mutable_format()));
    }
    graph.SetQuantization(node, record);
  }
  return graph;
}

void Run(benchmark::State& state, const std::string& model, const Shape& input, int64_t classes) {
  const auto execution = static_cast<Execution>(state.range(0));
  const int64_t rows = state.range(1);
  const Graph graph = QuantizedNet(model, input, classes);
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

void AllWays(benchmark::internal::Benchmark* benchmark, std::vector<int64_t> rows) {
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
BENCHMARK_CAPTURE(Run, linear256, "Linear 256", Shape{256}, 256)->Apply(Layers);
BENCHMARK_CAPTURE(Run, linear512, "Linear 512", Shape{512}, 512)->Apply(Layers);
BENCHMARK_CAPTURE(Run, linear1024, "Linear 1024", Shape{1024}, 1024)->Apply(Layers);
BENCHMARK(OneDnnMatmul)->Args({256, 1024})->Args({512, 1024})->Args({1024, 1024})->UseRealTime();
BENCHMARK_CAPTURE(Run, vgg7, "vgg7", kImage, 10)->Apply(Images);
BENCHMARK_CAPTURE(Run, resnet18, "resnet18", kImage, 10)->Apply(Images);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
