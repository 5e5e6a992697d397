#include "mase/kernel/integer/depthwise_loop.h"

#include <algorithm>

#include "mase/kernel/integer/registers.h"

namespace mase {
namespace {

// kVectors registers of channels from `c` on.
template <typename Set, typename T, int kVectors>
[[gnu::always_inline]] inline void SumChannels(const DepthwiseRow& row, int64_t c) {
  using Register = typename Set::Register;
  Register sums[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) sums[v] = Set::Load(row.offset + c + v * Set::kLanes);
  const int32_t* weight = row.weight + c;
  for (int64_t tap = 0; tap < row.taps; ++tap, weight += row.stride) {
    const T* pixel = static_cast<const T*>(row.pixels[tap]) + c;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[v] = Set::Add(sums[v], Set::Codes(pixel + v * Set::kLanes),
                         Set::Load(weight + v * Set::kLanes));
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) Set::Store(row.sums + c + v * Set::kLanes, sums[v]);
}

// The last channels, fewer than kLanes. Those of the next pixel, which are read with them, have
// weights of zero; behind the last pixel there is nothing to read.
template <typename Set, typename T>
[[gnu::always_inline]] inline void SumLastChannels(const DepthwiseRow& row, int64_t c) {
  typename Set::Register sum = Set::Load(row.offset + c);
  const int32_t* weight = row.weight + c;
  for (int64_t tap = 0; tap < row.taps; ++tap, weight += row.stride) {
    const T* pixel = static_cast<const T*>(row.pixels[tap]) + c;
    T last[Set::kLanes];
    if (pixel + Set::kLanes > static_cast<const T*>(row.end)) [[unlikely]] {
      std::fill_n(last, Set::kLanes, T{0});
      pixel = std::copy_n(pixel, row.channels - c, last) - (row.channels - c);
    }
    sum = Set::Add(sum, Set::Codes(pixel), Set::Load(weight));
  }
  Set::Store(row.sums + c, sum);
}

template <typename Set, typename T>
[[gnu::always_inline]] inline void RunRow(const DepthwiseRow& row) {
  constexpr int kVectors = 4;
  int64_t c = 0;
  for (; c + kVectors * Set::kLanes <= row.channels; c += kVectors * Set::kLanes) {
    SumChannels<Set, T, kVectors>(row, c);
  }
  for (; c + Set::kLanes <= row.channels; c += Set::kLanes) SumChannels<Set, T, 1>(row, c);
  if (c < row.channels) SumLastChannels<Set, T>(row, c);
}

template <typename T>
void RunSse2(const DepthwiseRow& row) {
  RunRow<Sse2, T>(row);
}

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
template <typename T>
void RunAvx2(const DepthwiseRow& row) {
  RunRow<Avx2, T>(row);
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
template <typename T>
void RunAvx512(const DepthwiseRow& row) {
  RunRow<Avx512, T>(row);
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,bmi,bmi2")
void RunVnni(const DepthwiseRow& row) { RunRow<Vnni, uint8_t>(row); }
#pragma GCC pop_options

// From the least instruction set to the best.
constexpr DepthwiseLoop kLoops[] = {
    {IntegerIsa::kSse2, Factors::kWords, RunSse2<uint8_t>, RunSse2<int32_t>},
    {IntegerIsa::kAvx2, Factors::kWords, RunAvx2<uint8_t>, RunAvx2<int32_t>},
    {IntegerIsa::kAvx512, Factors::kWords, RunAvx512<uint8_t>, RunAvx512<int32_t>},
    {IntegerIsa::kVnni, Factors::kBytes, RunVnni, nullptr},
};

}  // namespace

const DepthwiseLoop& ChooseDepthwiseLoop(IntegerIsa isa, Factors factors) {
  const DepthwiseLoop* best = &kLoops[0];
  for (const DepthwiseLoop& loop : kLoops) {
    if (loop.isa <= isa && loop.reads >= factors) best = &loop;
  }
  return *best;
}

}  // namespace mase
