// How often a second a pipeline runs: what a search does with every candidate.
#include <benchmark/benchmark.h>

#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/graph/graph_text.h"
#include "mase/pass/pass_registry.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin.h"

namespace mase {
namespace {

constexpr char kJscTiny[] = R"(
x = placeholder() : f32[8, 16]
seq_blocks_0 = batch_norm1d(x, num_features=16) @seq_blocks.0
seq_blocks_1 = relu(seq_blocks_0) @seq_blocks.1
seq_blocks_2 = linear(seq_blocks_1, in_features=16, out_features=5) @seq_blocks.2
seq_blocks_3 = relu(seq_blocks_2) @seq_blocks.3
output = output(seq_blocks_3)
)";

constexpr char kRules[] = R"pb(
  rules {
    match: "linear"
    config {
      name: "integer"
      data_in { width: 8 frac_width: 4 }
      weight { width: 8 frac_width: 4 }
      bias { width: 8 frac_width: 4 }
    }
  }
)pb";

struct Setup {
  Setup() {
    CHECK(RegisterLinkedPlugins(registry).ok());
    const PassInfo* info = registry.Find("quantize");
    const std::unique_ptr<google::protobuf::Message> options(info->options->New());
    CHECK(google::protobuf::TextFormat::ParseFromString(kRules, options.get()));
    PassConfig& pass = *passes.Add();
    pass.set_name("quantize");
    pass.mutable_options()->PackFrom(*options);
  }

  PassRegistry registry;
  google::protobuf::RepeatedPtrField<PassConfig> passes;
  const Graph graph = *ReadGraphText(kJscTiny);
};

void BM_BuildPipeline(benchmark::State& state) {
  Setup setup;
  for (auto _ : state) CHECK(BuildPipeline(setup.passes, setup.registry).ok());
}
BENCHMARK(BM_BuildPipeline);

// add_common_metadata, quantize and summarize_quantization on a copy of jsc-tiny.
void BM_RunPipelineOnACopy(benchmark::State& state) {
  Setup setup;
  const Pipeline pipeline = *BuildPipeline(setup.passes, setup.registry);
  PassHost host;
  for (auto _ : state) {
    Graph graph = setup.graph.Clone();
    RunReport report;
    CHECK(RunPipeline(pipeline, graph, host, &report).ok());
  }
}
BENCHMARK(BM_RunPipelineOnACopy);

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
