// Quantize-dequantize, float32 to float32, on one core. items_per_second is elements a second.
//
//   ./bazelw run //mase/format:format_benchmark -- --benchmark_filter='integer'
//
// Sizes: 1k (call overhead), 256k (in cache), 64M (memory). `memcpy` and `in place` of 64M show
// what the memory gives: a copy past the caches, and reading and writing the same lines.
#include <cstring>
#include <string>

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
    "mx { element_format: 'fp8_e5m2' }",
    "mxfp { block_size: 32 element_exp_bits: 4 element_frac_bits: 3 }",
    "affine { width: 8 scale: 0.05 zero_point: 3 }",
    "scale_integer { width: 8 }",
    "integer { width: 8 frac_width: 4 } rounding: NEAREST_AWAY",
    "integer { width: 8 frac_width: 4 } rounding: FLOOR",
    "minifloat_ieee { width: 8 exponent_width: 4 } rounding: TOWARD_ZERO",
    "log { width: 8 } rounding: CEILING",
    "block_fp { width: 8 block_size: 16 skip_first_dim: false } rounding: TOWARD_ZERO",
    "integer { width: 8 frac_width: 4 } semantics: REFERENCE",
    "minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE",
    "minifloat_denorm { width: 8 exponent_width: 4 } semantics: REFERENCE",
    "log { width: 8 } semantics: REFERENCE",
    "block_fp { width: 8 block_size: [1, 16] } semantics: REFERENCE",
    "mxint { block_size: 16 element_bits: 8 } semantics: REFERENCE",
    "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 } semantics: REFERENCE",
};

// From -4 to 4.
Tensor RandomTensor(const Shape& shape) {
  Tensor tensor(DType::kFloat32, shape);
  uint32_t random = 1;
  for (float& x : tensor.mutable_data<float>()) {
    random = random * 1664525 + 1013904223;
    x = (static_cast<float>(random >> 8) - 0x1p23f) * 0x1p-21f;
  }
  return tensor;
}

void Quantize(benchmark::State& state, const char* text, Isa isa) {
  const Isa best = CurrentIsa();
  if (!SetIsaForTest(isa)) {
    state.SkipWithError("not on this machine");
    return;
  }
  const auto format = *Format::FromText(text);
  const Shape shape = {state.range(0) / 256, 256};
  const Tensor src = RandomTensor(shape);
  Tensor dst = Tensor::Zeros(DType::kFloat32, shape);
  float* const y = dst.mutable_data<float>().data();
  for (auto _ : state) {
    const absl::Status status = format->Quantize(src.data<float>().data(), y, shape);
    benchmark::DoNotOptimize(status.ok());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * shape.elements());
  SetIsaForTest(best);
}

void Memcpy(benchmark::State& state) {
  const Tensor src = RandomTensor({state.range(0)});
  Tensor dst = RandomTensor({state.range(0)});
  void* const to = dst.mutable_raw_data();
  for (auto _ : state) {
    std::memcpy(to, src.raw_data(), src.size_bytes());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * src.elements());
}
BENCHMARK(Memcpy)->Name("memcpy")->Arg(1 << 10)->Arg(1 << 18)->Arg(1 << 26);

void InPlace(benchmark::State& state) {
  const auto format = *Format::FromText(kFormats[0]);
  Tensor tensor = RandomTensor({state.range(0)});
  float* const x = tensor.mutable_data<float>().data();
  for (auto _ : state) {
    benchmark::DoNotOptimize(format->Quantize(x, x, tensor.shape()).ok());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * tensor.elements());
}
BENCHMARK(InPlace)->Name("integer in place")->Arg(1 << 10)->Arg(1 << 18)->Arg(1 << 26);

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
