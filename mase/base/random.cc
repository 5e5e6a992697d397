#include "mase/base/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"

namespace mase {
namespace {

constexpr int kShift = 397;  // MT19937's middle word.

uint32_t Twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & 0x80000000u) | (low & 0x7FFFFFFFu);
  return (mixed >> 1) ^ (-(mixed & 1) & 0x9908B0DFu);
}

// PyTorch's AVX2 and AVX-512 kernels take logarithm, sine and cosine from the Cephes library's
// float32 polynomials, compiled with fused multiply-adds. The functions below do the same
// operations in the same order, so that weights initialized here have the same bits. (libm's more
// exact functions would differ in the last bit of one value in 50.)

// All of them end up in NormalBlock, which the compiler vectorizes.
#define MASE_ALWAYS_INLINE __attribute__((always_inline)) inline

template <typename... C>
MASE_ALWAYS_INLINE float Polynomial(float x, float first, C... rest) {
  float sum = first;
  ((sum = std::fma(sum, x, rest)), ...);
  return sum;
}

// ln(x) for normal x > 0.
MASE_ALWAYS_INLINE float CephesLog(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const float mantissa = std::bit_cast<float>((bits & 0x007FFFFFu) | 0x3F000000u);  // [0.5, 1)
  const bool small = mantissa < 0.707106781186547524f;
  const float exponent = static_cast<float>(static_cast<int>(bits >> 23) - 126) - (small ? 1 : 0);
  x = (mantissa - 1) + (small ? mantissa : 0);
  const float z = x * x;
  float y = x * Polynomial(x, 7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f,
                           -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f,
                           -2.4999993993e-1f, 3.3333331174e-1f);
  y = std::fma(y, z, exponent * -2.12194440e-4f);
  return std::fma(exponent, 0.693359375f, x + (y - z * 0.5f));
}

// {sin(x), cos(x)} for 0 <= x < 2 pi.
MASE_ALWAYS_INLINE std::pair<float, float> CephesSinCos(float x) {
  const int octant = (static_cast<int>(x * 1.27323954473516f) + 1) & ~1;  // Of pi / 4.
  const float y = static_cast<float>(octant);
  x = std::fma(y, -0.78515625f, x);
  x = std::fma(y, -2.4187564849853515625e-4f, x);
  x = std::fma(y, -3.77489497744594108e-8f, x);
  const float z = x * x;
  const float even =
      Polynomial(z, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f) * z;
  const float odd = Polynomial(z, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f) * z;
  const float near_one = 1 + std::fma(even, z, -(z * 0.5f));
  const float near_zero = std::fma(odd, x, x);
  const bool swapped = (octant & 2) != 0;
  const float sine = swapped ? near_one : near_zero;
  const float cosine = swapped ? near_zero : near_one;
  return {(octant & 4) != 0 ? -sine : sine, ((octant + 2) & 4) != 0 ? -cosine : cosine};
}

// Box-Muller on 16 uniform values in place: 8 radii, then 8 angles.
MASE_ALWAYS_INLINE void BoxMuller(float* block, float mean, float std) {
  for (int i = 0; i < 8; ++i) {
    const float radius = std::sqrt(-2 * CephesLog(1 - block[i]));
    const auto [sine, cosine] =
        CephesSinCos(static_cast<float>(2 * std::numbers::pi) * block[i + 8]);
    block[i] = std::fma(radius * cosine, std, mean);
    block[i + 8] = std::fma(radius * sine, std, mean);
  }
}

void NormalBlock(float* block, float mean, float std) {
  const auto body = [=] { BoxMuller(block, mean, std); };
  if (CurrentIsa() == Isa::kBaseline) return RunBaseline(body);
  RunAvx2(body);  // Eight numbers fill its registers.
}

}  // namespace

void Mt19937::Seed(uint64_t seed) {
  words_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i) {
    words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  }
  position_ = kWords;
}

// The three loops are the recurrence x[k+624] = x[k+397] ^ twist(x[k], x[k+1]) in place, cut
// where its indexes wrap so that each loop is plain enough for the compiler's vectorizer.
void Mt19937::NextBlock() {
  uint32_t* x = words_.data();
  for (int k = 0; k < kWords - kShift; ++k) x[k] = x[k + kShift] ^ Twist(x[k], x[k + 1]);
  for (int k = kWords - kShift; k < kWords - 1; ++k) {
    x[k] = x[k + kShift - kWords] ^ Twist(x[k], x[k + 1]);
  }
  x[kWords - 1] = x[kShift - 1] ^ Twist(x[kWords - 1], x[0]);
  Temper();
  position_ = 0;
}

void Mt19937::Temper() {
  for (int k = 0; k < kWords; ++k) {
    uint32_t y = words_[k];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    tempered_[k] = y ^ (y >> 18);
  }
}

std::vector<uint32_t> Mt19937::ExportState() const {
  std::vector<uint32_t> state(words_.begin(), words_.end());
  state.push_back(position_);
  return state;
}

absl::Status Mt19937::ImportState(absl::Span<const uint32_t> state) {
  if (state.size() != kWords + 1 || state[kWords] > kWords) {
    return absl::InvalidArgumentError(absl::StrCat("not the state of a generator: ", state.size(),
                                                   " words, want ", kWords + 1,
                                                   " of which the last is at most ", kWords));
  }
  std::copy_n(state.begin(), kWords, words_.begin());
  position_ = static_cast<int>(state[kWords]);
  Temper();
  return absl::OkStatus();
}

void TorchGenerator::FillUniform(absl::Span<float> dst, float low, float high) {
  for (float& value : dst) value = Uniform(low, high);
}

void TorchGenerator::FillNormal(absl::Span<float> dst, double mean, double std) {
  if (dst.size() < 16) {
    for (float& value : dst) value = static_cast<float>(NormalDouble() * std + mean);
    return;
  }
  FillUniform(dst, 0, 1);
  const size_t tail = dst.size() % 16;
  for (size_t i = 0; i + 16 <= dst.size(); i += 16)
    NormalBlock(&dst[i], static_cast<float>(mean), static_cast<float>(std));
  if (tail == 0) return;
  // PyTorch draws the last 16 values anew when blocks do not come out even.
  const absl::Span<float> last = dst.last(16);
  FillUniform(last, 0, 1);
  NormalBlock(last.data(), static_cast<float>(mean), static_cast<float>(std));
}

double TorchGenerator::NormalDouble() {
  if (spare_normal_.has_value()) return *std::exchange(spare_normal_, std::nullopt);
  const double angle = 2 * std::numbers::pi * UnitDouble();
  const double radius = std::sqrt(-2 * std::log1p(-UnitDouble()));
  spare_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

std::vector<int64_t> TorchGenerator::Permutation(int64_t n) {
  std::vector<int64_t> order(n);
  Permute(absl::MakeSpan(order));
  return order;
}

template <typename T>
void TorchGenerator::Permute(absl::Span<T> order) {
  const int64_t n = static_cast<int64_t>(order.size());
  std::iota(order.begin(), order.end(), 0);
  // PyTorch's own border: a 32-bit draw modulo n is uniform enough below it.
  if (n >= UINT32_MAX / 20) {
    for (int64_t i = 0; i < n - 1; ++i) {
      std::swap(order[i], order[i + static_cast<int64_t>(engine_.Next64() % uint64_t(n - i))]);
    }
    return;
  }
  // In blocks: draws, then their remainders, then the elements on their way from memory, then
  // swaps.
  constexpr int64_t kBlock = 256;
  uint32_t other[kBlock];
  for (int64_t first = 0; first < n - 1; first += kBlock) {
    const int64_t count = std::min(kBlock, n - 1 - first);
    for (int64_t k = 0; k < count; ++k) other[k] = engine_.Next32();
    ForBestIsa([&] {
      for (int64_t k = 0; k < count; ++k) {
        // A quotient of two such numbers is too far from the next whole one to be rounded there.
        const uint32_t left = static_cast<uint32_t>(n - first - k);
        const double quotient = static_cast<double>(other[k]) / static_cast<double>(left);
        other[k] -= static_cast<uint32_t>(static_cast<int64_t>(quotient)) * left;
      }
    });
    for (int64_t k = 0; k < count; ++k) __builtin_prefetch(&order[first + k + other[k]], 1);
    for (int64_t k = 0; k < count; ++k) std::swap(order[first + k], order[first + k + other[k]]);
  }
}

template void TorchGenerator::Permute(absl::Span<int64_t>);
template void TorchGenerator::Permute(absl::Span<uint32_t>);

std::vector<uint32_t> TorchGenerator::ExportState() const {
  std::vector<uint32_t> state = engine_.ExportState();
  const uint64_t spare = std::bit_cast<uint64_t>(spare_normal_.value_or(0));
  state.push_back(spare_normal_.has_value() ? 1 : 0);
  state.push_back(static_cast<uint32_t>(spare >> 32));
  state.push_back(static_cast<uint32_t>(spare));
  return state;
}

absl::Status TorchGenerator::ImportState(absl::Span<const uint32_t> state) {
  if (state.size() < 3) return absl::InvalidArgumentError("not the state of a generator");
  const absl::Span<const uint32_t> normal = state.last(3);
  if (absl::Status status = engine_.ImportState(state.first(state.size() - 3)); !status.ok()) {
    return status;
  }
  const uint64_t spare = uint64_t{normal[1]} << 32 | normal[2];
  spare_normal_.reset();
  if (normal[0] != 0) spare_normal_ = std::bit_cast<double>(spare);
  return absl::OkStatus();
}

std::vector<int64_t> NumpyGenerator::Permutation(int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i) {
    const uint32_t mask = std::bit_ceil(static_cast<uint64_t>(i) + 1) - 1;
    uint32_t j;
    do {
      j = engine_.Next32() & mask;
    } while (j > i);
    std::swap(order[i], order[j]);
  }
  return order;
}

}  // namespace mase
