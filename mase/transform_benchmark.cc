// The main job as a whole process: wall time and peak memory.
//   ./bazelw run -c opt //mase:transform_benchmark
#include <sys/resource.h>

#include <filesystem>
#include <string>

#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"

namespace mase {
namespace {

void BM_TransformJscTiny(benchmark::State& state) {
  const std::string folder = NewFolder();
  const std::string config = "--config=" + Runfile("testdata/configs/jsc_tiny_integer.toml");
  for (auto _ : state) {
    const CommandResult run = RunCommand("mase/transform", {config, "--run_dir=run"}, folder);
    CHECK_EQ(run.exit_code, 0) << run.err;
    state.PauseTiming();
    std::filesystem::remove_all(folder + "/run");
    state.ResumeTiming();
  }
  rusage usage;
  CHECK_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
  state.counters["peak_MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}
BENCHMARK(BM_TransformJscTiny)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Repetitions(5)
    ->ReportAggregatesOnly();

}  // namespace
}  // namespace mase

BENCHMARK_MAIN();
