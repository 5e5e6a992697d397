// Quantize-dequantize, float32 to float32, on one core. items_per_second is elements a second.
//
//   ./bazelw run //mase/format:format_benchmark -- --benchmark_filter='integer'
//
// Sizes: 1k (call overhead), 256k (in cache), 64M (memory).
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "mase/base/isa.h"
#include "mase/format/format.h"

namespace mase {
namespace {

constexpr const char* kFormats[] = {
    "integer { width: 8 frac_width: 4 }",
    "minifloat_ieee { width: 8 exponent_width: 4 }",
    "minifloat_denorm { width: 8 exponent_width: 4 }",
    "log { width: 8 }",
    "block_fp { width: 8 block_size: 16 skip_first_dim: false }",
    "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 16 }",
    "block_log { width: 8 exponent_bias_width: 8 block_size: 16 }",
    "mxint { block_size: 16 element_bits: 8 }",
    "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 }",
    "mx { element_format: 'bfloat16' }",
    "mx { element_format: 'fp8_e4m3' }",
    "affine { width: 8 scale: 0.05 zero_point: 3 }",
    "scale_integer { width: 8 }",
    "integer { width: 8 frac_width: 4 } semantics: REFERENCE",
    "minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE",
    "minifloat_denorm { width: 8 exponent_width: 4 } semantics: REFERENCE",
    "log { width: 8 } semantics: REFERENCE",
    "block_fp { width: 8 block_size: [1, 16] } semantics: REFERENCE",
    "mxint { block_size: 16 element_bits: 8 } semantics: REFERENCE",
    "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 } semantics: REFERENCE",
};

void Quantize(benchmark::State& state, const char* text, Isa isa) {
  const Isa best = CurrentIsa();
  if (!SetIsaForTest(isa)) {
    state.SkipWithError("not on this machine");
    return;
  }
  const auto format = *Format::FromText(text);
  const int64_t count = state.range(0);
  std::vector<float> src(count), dst(count);
  uint32_t random = 1;
  for (float& x : src) {
    random = random * 1664525 + 1013904223;
    x = (static_cast<float>(random >> 8) - 0x1p23f) * 0x1p-21f;  // -4 to 4.
  }
  const Shape shape = {count / 256, 256};
  for (auto _ : state) {
    const absl::Status status = format->Quantize(src.data(), dst.data(), shape);
    benchmark::DoNotOptimize(status.ok());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * count);
  SetIsaForTest(best);
}

void RegisterAll() {
  for (const char* format : kFormats) {
    for (const Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kBaseline}) {
      auto* benchmark = benchmark::RegisterBenchmark(
          absl::StrCat(format, "/", std::string(IsaName(isa))).c_str(),
          [format, isa](benchmark::State& state) { Quantize(state, format, isa); });
      benchmark->Arg(1 << 10)->Arg(1 << 18);
      if (isa == CurrentIsa()) benchmark->Arg(1 << 26);
    }
  }
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  mase::RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
