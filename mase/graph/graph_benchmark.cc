// Verifier and shape inference on chains of 10^3, 10^5 and 10^6 nodes.
//   ./bazelw run //mase/graph:graph_benchmark
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "mase/graph/add_output.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/graph/verifier.h"

namespace mase {
namespace {

Graph Chain(int64_t length) {
  Graph graph("chain");
  Node* node = graph
                   .AddNode({.name = "x",
                             .kind = NodeKind::kPlaceholder,
                             .op = "placeholder",
                             .attributes = {{"shape", std::vector<int64_t>{8, 16}}}})
                   .value();
  for (int64_t i = 0; i < length; ++i) {
    node = graph
               .AddNode({.name = "relu",
                         .kind = NodeKind::kCallFunction,
                         .op = "relu",
                         .inputs = {node->outputs()[0]}})
               .value();
  }
  CHECK(AddOutput(graph, {node->outputs()[0]}).ok());
  return graph;
}

void BM_VerifyGraph(benchmark::State& state) {
  const Graph graph = Chain(state.range(0));
  for (auto _ : state) CHECK(VerifyGraph(graph).ok());
}
BENCHMARK(BM_VerifyGraph)->Arg(1000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_InferShapes(benchmark::State& state) {
  Graph graph = Chain(state.range(0));
  for (auto _ : state) CHECK(InferShapes(graph).ok());
}
BENCHMARK(BM_InferShapes)->Arg(1000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
