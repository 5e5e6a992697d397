// Numbers that look random, each a pure function of what it is asked for: the same for any number
// of threads and in any order.
#ifndef MASE_BASE_MIX64_H_
#define MASE_BASE_MIX64_H_

#include <cstdint>

namespace mase {

// 2^64 divided by the golden ratio: multiples of it spread evenly over all 64-bit numbers.
inline constexpr uint64_t kGolden64 = 0x9E3779B97F4A7C15u;

// A bijection of the 64-bit numbers in which each input bit changes each output bit with
// probability one half: the last steps of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
inline uint64_t Mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The number at `index` of the sequence that belongs to `seed`.
inline uint64_t Mix64(uint64_t seed, uint64_t index) { return Mix64(seed * kGolden64 + index + 1); }

// The seed of one stream of random numbers among those of a run whose seed is `seed`. Inside, draw
// i is a function of this plus i.
inline uint64_t StreamSeed(uint64_t seed, uint64_t stream) {
  return (seed + stream) * 0xD1342543DE82EF95u;
}

}  // namespace mase

#endif  // MASE_BASE_MIX64_H_
