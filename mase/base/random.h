// Random numbers that are the same on every machine, and the same as PyTorch's and NumPy's.
//
// Both libraries draw from the 32-bit Mersenne Twister MT19937, seeded with one word by its
// standard initialization (low 32 bits of the seed), and differ only in how a draw becomes a
// number. A model built or a data set shuffled here with seed s equals the one that
// torch.manual_seed(s) or numpy.random.RandomState(s) gives, bit for bit.
//
// Not thread-safe. Copying a generator copies its state: both copies draw the same numbers.
#ifndef MASE_BASE_RANDOM_H_
#define MASE_BASE_RANDOM_H_

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace mase {

// The raw generator.
class Mt19937 {
 public:
  explicit Mt19937(uint64_t seed) { Seed(seed); }

  void Seed(uint64_t seed);

  // A whole number, uniform over 0..2^32-1.
  uint32_t Next32() {
    if (position_ == kWords) NextBlock();
    return tempered_[position_++];
  }

  // Two 32-bit draws, the first in the high word.
  uint64_t Next64() {
    const uint64_t high = Next32();
    return high << 32 | Next32();
  }

  // Everything needed to go on later: 624 words and how many of them are used up.
  std::vector<uint32_t> ExportState() const;

  // InvalidArgument, and no change, if `state` is not something that ExportState returned.
  absl::Status ImportState(absl::Span<const uint32_t> state);

 private:
  static constexpr int kWords = 624;

  void NextBlock();
  void Temper();

  std::array<uint32_t, kWords> words_;
  std::array<uint32_t, kWords> tempered_;  // The outputs that belong to words_.
  int position_ = kWords;
};

// Draws as PyTorch's CPU generator makes them (torch.manual_seed and what follows it).
class TorchGenerator {
 public:
  explicit TorchGenerator(uint64_t seed) : engine_(seed) {}

  // One tensor.uniform_(low, high) of float32: u * (high - low) + low in float32 with one rounding
  // at the end (PyTorch's kernels are compiled with fused multiply-add), where u is the low 24
  // bits of one draw divided by 2^24. In [low, high), up to that rounding.
  float Uniform(float low, float high) { return std::fma(Unit(), high - low, low); }
  void FillUniform(absl::Span<float> dst, float low, float high);

  // One torch.empty((), dtype=torch.int64).random_(): 63 bits of a 64-bit draw. This is how
  // loaders and samplers draw the seeds of others.
  int64_t Int63() { return static_cast<int64_t>(engine_.Next64() & ~(uint64_t{1} << 63)); }

  // A whole tensor.normal_(mean, std) of float32: dst.size() values. The values depend on the
  // size of the tensor, so draw each tensor with one call: Box-Muller in float32, in blocks of
  // 16, where there are at least 16 values (the bits of PyTorch on a CPU with AVX2); in double,
  // in pairs, below.
  void FillNormal(absl::Span<float> dst, double mean, double std);

  // torch.randperm(n): a permutation of 0..n-1. Requires n >= 0.
  std::vector<int64_t> Permutation(int64_t n);
  // The same, written to `order`, whose size is n, below 2^32 for T = uint32_t.
  template <typename T>
  void Permute(absl::Span<T> order);

  // The twister's state and the second value of the last pair that FillNormal made.
  std::vector<uint32_t> ExportState() const;
  absl::Status ImportState(absl::Span<const uint32_t> state);

 private:
  float Unit() { return static_cast<float>(engine_.Next32() & 0xFFFFFF) * 0x1p-24f; }
  double UnitDouble() {
    return static_cast<double>(engine_.Next64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
  }
  double NormalDouble();

  Mt19937 engine_;
  std::optional<double> spare_normal_;
};

// Draws as numpy.random.RandomState(seed) makes them.
class NumpyGenerator {
 public:
  explicit NumpyGenerator(uint32_t seed) : engine_(seed) {}

  // One rand(): 53 bits of two draws, in [0, 1).
  double Uniform() {
    const uint32_t high = engine_.Next32() >> 5;
    const uint32_t low = engine_.Next32() >> 6;
    return (high * 0x1p26 + low) * 0x1p-53;
  }

  // permutation(n): a permutation of 0..n-1. Requires 0 <= n <= 2^32.
  std::vector<int64_t> Permutation(int64_t n);

 private:
  Mt19937 engine_;
};

}  // namespace mase

#endif  // MASE_BASE_RANDOM_H_
