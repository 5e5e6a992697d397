// A small net through the predictor, as benchmarks/compare_inference.py sets it beside others.
//   OMP_NUM_THREADS=1 ./bazelw run //mase/predict:predictor_benchmark
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "mase/base/random.h"
#include "mase/model/zoo.h"
#include "mase/predict/predictor.h"

namespace mase {
namespace {

constexpr char kMlp[] = "Linear 64, ReLU, Linear 32, ReLU, Linear 32, ReLU, Linear classes";

// Linear layers in integer 8/4, as the labs quantize.
void Quantize(Graph& graph) {
  for (Node* node : graph.NodesInOrder()) {
    if (node->op() != ops::kLinear) continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      operand->mutable_format()->mutable_integer()->set_width(8);
      operand->mutable_format()->mutable_integer()->set_frac_width(4);
    }
    graph.SetQuantization(node, record);
  }
}

void Predict(benchmark::State& state, const std::string& model, Execution execution) {
  Graph graph = BuildModel({.model = model, .input = {16}, .classes = 5}).value();
  Quantize(graph);
  const auto predictor = Predictor::Create(graph, nullptr, {.execution = execution}).value();
  const int64_t rows = state.range(0);
  std::vector<float> in(rows * predictor->inputs()), out(rows * predictor->outputs());
  TorchGenerator(1).FillUniform(absl::MakeSpan(in), -1, 3);
  for (auto _ : state) {
    CHECK(predictor->Predict(in, absl::MakeSpan(out)).ok());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

void Rows(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t rows : {1, 1024, 16384}) benchmark->Arg(rows);
}
BENCHMARK_CAPTURE(Predict, mlp_float, kMlp, Execution::kFloat)->Apply(Rows);
BENCHMARK_CAPTURE(Predict, mlp_simulated, kMlp, Execution::kSimulated)->Apply(Rows);
BENCHMARK_CAPTURE(Predict, mlp_integer, kMlp, Execution::kInteger)->Apply(Rows);

void Jsc(benchmark::internal::Benchmark* benchmark) { benchmark->Arg(1)->Arg(16)->Arg(1024); }
#define MASE_BENCHMARK_NET(name, net)                                                   \
  BENCHMARK_CAPTURE(Predict, name##_float, net, Execution::kFloat)->Apply(Jsc);         \
  BENCHMARK_CAPTURE(Predict, name##_simulated, net, Execution::kSimulated)->Apply(Jsc); \
  BENCHMARK_CAPTURE(Predict, name##_integer, net, Execution::kInteger)->Apply(Jsc)
MASE_BENCHMARK_NET(jsc_tiny, "jsc-tiny");
MASE_BENCHMARK_NET(jsc_toy, "jsc-toy");
MASE_BENCHMARK_NET(jsc_s, "jsc-s");
MASE_BENCHMARK_NET(jsc_toy10x, "jsc-toy10x");

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
