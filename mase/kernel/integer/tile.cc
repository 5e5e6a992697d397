#include "mase/kernel/integer/tile.h"

#include <immintrin.h>

#include <atomic>
#include <cstring>

#include "mase/base/isa.h"
#include "mase/base/isa_limit.h"
#include "mase/kernel/integer/epilogue.h"
#include "mase/kernel/integer/registers.h"

namespace mase {
namespace {

std::atomic<bool>& UsesVnni() {
  static std::atomic<bool> uses{MaxIsa() >= IsaLimit::kAvx512Vnni &&
                                __builtin_cpu_supports("avx512vnni") != 0};
  return uses;
}

std::atomic<bool>& UsesPopcount() {
  static std::atomic<bool> uses{MaxIsa() >= IsaLimit::kAll &&
                                __builtin_cpu_supports("avx512vpopcntdq") != 0};
  return uses;
}

constexpr int kWholeRows = 6, kWholeVectors = 4;  // Of what finishes its sums.

// A whole tile's results, from registers.
template <typename Register>
[[gnu::always_inline]] inline void FinishTile(const TileResult& result,
                                              Register (&sums)[kWholeRows][kWholeVectors]) {
  typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
  const int64_t stride = result.stride;
#pragma GCC unroll 8
  for (int v = 0; v < kWholeVectors; ++v) {
    const int64_t column = v * kTileLanes;
    const auto load = [&](const float* numbers) {
      return *reinterpret_cast<const EpilogueFloats*>(numbers + column);
    };
    const EpilogueFloats scale = load(result.scale), shift = load(result.shift);
    EpilogueFloats x[kWholeRows];
#pragma GCC unroll 8
    for (int r = 0; r < kWholeRows; ++r) {
      x[r] = __builtin_convertvector(reinterpret_cast<EpilogueInts>(sums[r][v]), EpilogueFloats) *
                 scale +
             shift;
    }
    if (result.norm != nullptr) {
      const EpilogueFloats mean = load(result.norm),
                           factor = load(result.norm + result.norm_stride);
      const EpilogueFloats added = load(result.norm + 2 * result.norm_stride);
#pragma GCC unroll 8
      for (int r = 0; r < kWholeRows; ++r) x[r] = (x[r] - mean) * factor + added;
    }
    if (result.rounder == nullptr) {
#pragma GCC unroll 8
      for (int r = 0; r < kWholeRows; ++r) {
        std::memcpy(result.dst + r * stride + column * 4, &x[r], sizeof(x[r]));
      }
      continue;
    }
    EpilogueInts codes[kWholeRows];
    result.rounder->ToSimpleCodes(x, codes);
#pragma GCC unroll 8
    for (int r = 0; r < kWholeRows; ++r) {
      const Bytes bytes = __builtin_convertvector(codes[r], Bytes);
      std::memcpy(result.dst + r * stride + column, &bytes, sizeof(bytes));
    }
  }
}

// The body of a loop for one instruction set.
template <typename Set, int kRows, int kVectors>
[[gnu::always_inline]] inline void RunTile(const Tile& tile) {
  using Register = typename Set::Register;
  constexpr int kParts = kVectors * static_cast<int>(kTileLanes) / Set::kLanes;
  constexpr int64_t kStepBytes = 4, kPrefetchBytes = 2048;
  constexpr int64_t kRowSums = kVectors * kTileLanes;
  Register sums[kRows][kParts];
  if (tile.offset != nullptr) {
#pragma GCC unroll 8
    for (int v = 0; v < kParts; ++v) {
      const Register offset = Set::Load(tile.offset + v * Set::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sums[r][v] = offset;
    }
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kParts; ++v) {
        sums[r][v] = Set::Load(tile.sums + r * kRowSums + v * Set::kLanes);
      }
    }
  }
  for (int64_t i = 0; i < tile.run_count; ++i) {
    const int64_t tap = tile.runs[i].first;
    const int64_t end_step = tile.end_step + (tile.runs[i].count - 1) * tile.steps;
    const char* b = static_cast<const char*>(tile.b) +
                    (tap * tile.steps + tile.begin_step) * kParts * Set::kLanes * kStepBytes;
    const char* a[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      a[r] = static_cast<const char*>(tile.a[tap * tile.a_stride + r]);
    }
    for (int64_t step = tile.begin_step; step < end_step; ++step) {
      Register columns[kParts];
      // One row reads b once, from far away.
      if (kRows == 1) {
#pragma GCC unroll 8
        for (int v = 0; v < kParts; ++v) {
          __builtin_prefetch(b + kPrefetchBytes + v * Set::kLanes * kStepBytes);
        }
      }
#pragma GCC unroll 8
      for (int v = 0; v < kParts; ++v) {
        columns[v] = Set::Load(b + v * Set::kLanes * kStepBytes);
      }
      b += kParts * Set::kLanes * kStepBytes;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Register row = Set::Broadcast(a[r] + step * kStepBytes);
#pragma GCC unroll 8
        for (int v = 0; v < kParts; ++v) sums[r][v] = Set::Add(sums[r][v], row, columns[v]);
      }
    }
  }
  if constexpr (Set::kLanes == kTileLanes && kRows == kWholeRows && kVectors == kWholeVectors) {
    if (tile.result != nullptr) return FinishTile(*tile.result, sums);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kParts; ++v) {
      Set::Store(tile.sums + r * kRowSums + v * Set::kLanes, sums[r][v]);
    }
  }
}

template <typename Set, int kVectors>
[[gnu::always_inline]] inline void RunRows(const Tile& tile) {
  switch (tile.rows) {
    case 1:
      return RunTile<Set, 1, kVectors>(tile);
    case 2:
      return RunTile<Set, 2, kVectors>(tile);
    case 3:
      return RunTile<Set, 3, kVectors>(tile);
    case 4:
      return RunTile<Set, 4, kVectors>(tile);
    case 5:
      return RunTile<Set, 5, kVectors>(tile);
    default:
      return RunTile<Set, 6, kVectors>(tile);
  }
}

template <typename Set>
[[gnu::always_inline]] inline void RunWide(const Tile& tile) {
  switch (tile.vectors) {
    case 1:
      return RunRows<Set, 1>(tile);
    case 2:
      return RunRows<Set, 2>(tile);
    case 3:
      return RunRows<Set, 3>(tile);
    default:
      return RunRows<Set, 4>(tile);
  }
}

void RunSse2(const Tile& tile) {
  switch (tile.rows) {
    case 1:
      return RunTile<Sse2, 1, 1>(tile);
    default:
      return RunTile<Sse2, 2, 1>(tile);
  }
}

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
void RunAvx2Words(const Tile& tile) { RunRows<Avx2, 1>(tile); }
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
void RunAvx512Words(const Tile& tile) { RunWide<Avx512>(tile); }
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,bmi,bmi2")
void RunVnniBytes(const Tile& tile) { RunWide<Vnni>(tile); }
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,bmi,bmi2")
template <int kPlanes, int kRows, int kVectors>
[[gnu::always_inline]] inline void RunBitTile(const Tile& tile) {
  constexpr int64_t kStepBytes = 4, kVectorBytes = kTileLanes * kStepBytes;
  constexpr int kSignedAndNotZero = 0x28;  // (a ^ signs) & mask, as vpternlog's table.
  __m512i sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = _mm512_loadu_si512(
          (tile.offset != nullptr ? tile.offset : tile.sums + r * kVectors * kTileLanes) +
          v * kTileLanes);
    }
  }
  for (int64_t i = 0; i < tile.run_count; ++i) {
    const int64_t tap = tile.runs[i].first;
    const int64_t end_step = tile.end_step + (tile.runs[i].count - 1) * tile.steps;
    const char* b = static_cast<const char*>(tile.b) +
                    (tap * tile.steps + tile.begin_step) * 2 * kVectors * kVectorBytes;
    const char* a[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      a[r] = static_cast<const char*>(tile.a[tap * tile.a_stride + r]);
    }
    for (int64_t step = tile.begin_step; step < end_step; ++step) {
      __m512i signs[kVectors], mask[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        signs[v] = _mm512_loadu_si512(b + v * kVectorBytes);
        mask[v] = _mm512_loadu_si512(b + (kVectors + v) * kVectorBytes);
      }
      b += 2 * kVectors * kVectorBytes;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < kPlanes; ++p) {
          const __m512i row = _mm512_set1_epi32(LoadStep(a[r] + (step * kPlanes + p) * kStepBytes));
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            const __m512i count = _mm512_popcnt_epi32(
                _mm512_ternarylogic_epi32(row, signs[v], mask[v], kSignedAndNotZero));
            sums[r][v] = _mm512_sub_epi32(sums[r][v], p == 0 ? count : _mm512_slli_epi32(count, p));
          }
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_si512(tile.sums + (r * kVectors + v) * kTileLanes, sums[r][v]);
    }
  }
}

template <int kPlanes, int kVectors>
[[gnu::always_inline]] inline void RunBitRows(const Tile& tile) {
  switch (tile.rows) {
    case 1:
      return RunBitTile<kPlanes, 1, kVectors>(tile);
    case 2:
      return RunBitTile<kPlanes, 2, kVectors>(tile);
    case 3:
      return RunBitTile<kPlanes, 3, kVectors>(tile);
    case 4:
      return RunBitTile<kPlanes, 4, kVectors>(tile);
    case 5:
      return RunBitTile<kPlanes, 5, kVectors>(tile);
    default:
      return RunBitTile<kPlanes, 6, kVectors>(tile);
  }
}

template <int kPlanes>
void RunBits(const Tile& tile) {
  return tile.vectors == 1 ? RunBitRows<kPlanes, 1>(tile) : RunBitRows<kPlanes, 2>(tile);
}
#pragma GCC pop_options

// Those of one width from the least instruction set to the best; the widest first.
constexpr TileLoop kLoops[] = {
    {IntegerIsa::kSse2, Factors::kWords, 2, 1, false, RunSse2},
    {IntegerIsa::kAvx2, Factors::kWords, 6, 1, false, RunAvx2Words},
    {IntegerIsa::kAvx512, Factors::kWords, kWholeRows, kWholeVectors, true, RunAvx512Words},
    {IntegerIsa::kVnni, Factors::kBytes, kWholeRows, kWholeVectors, true, RunVnniBytes},
    {IntegerIsa::kPopcount, Factors::kTwoBits, 6, 2, false, RunBits<2>},
    {IntegerIsa::kPopcount, Factors::kOneBit, 6, 2, false, RunBits<1>},
};

}  // namespace

IntegerIsa CurrentIntegerIsa() {
  switch (CurrentIsa()) {
    case Isa::kAvx512:
      return UsesVnni() ? IntegerIsa::kVnni : IntegerIsa::kAvx512;
    case Isa::kAvx2:
      return IntegerIsa::kAvx2;
    case Isa::kBaseline:
      break;
  }
  return IntegerIsa::kSse2;
}

absl::string_view IntegerIsaName(IntegerIsa isa) {
  switch (isa) {
    case IntegerIsa::kSse2:
      return "SSE2";
    case IntegerIsa::kAvx2:
      return "AVX2";
    case IntegerIsa::kAvx512:
      return "AVX-512";
    case IntegerIsa::kVnni:
      return "AVX-512 VNNI";
    case IntegerIsa::kPopcount:
      return "AVX-512 VPOPCNTDQ";
  }
  return "unknown";
}

bool SetVnniForTest(bool used) {
  if (!__builtin_cpu_supports("avx512vnni")) return false;
  UsesVnni() = used;
  return true;
}

bool SetPopcountForTest(bool used) {
  if (!__builtin_cpu_supports("avx512vpopcntdq")) return false;
  UsesPopcount() = used;
  return true;
}

const TileLoop& ChooseTileLoop(IntegerIsa isa, Factors factors) {
  if (isa == IntegerIsa::kVnni && UsesPopcount()) isa = IntegerIsa::kPopcount;
  const TileLoop* best = &kLoops[0];
  for (const TileLoop& loop : kLoops) {
    if (loop.isa <= isa && loop.reads >= factors) best = &loop;
  }
  return *best;
}

}  // namespace mase
