// What an integer kernel does to its sums on their way to memory: the arithmetic that the same
// steps do in the simulated program, operation for operation, but in registers.
//
//   number            (sum + offset) * scale + shift, by output
//   batch_norm1d, 2d  (x - mean) * scale + shift, by channel, with running statistics
//   relu              0 for what is below it
//   encode            clamp(round(x / scale)) * scale, of the quotient as the simulation has it
//   decode            nothing: numbers stay numbers
//
// in the order in which KernelSpec::fused lists them; the result is stored as float32, or, where
// the last is an "encode" to the codes of the result, as codes.
#ifndef MASE_KERNEL_INTEGER_EPILOGUE_H_
#define MASE_KERNEL_INTEGER_EPILOGUE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/base/nearest_steps.h"
#include "mase/kernel/kernel.h"

namespace mase {

// Numbers are worked on 16 at a time, in as many registers as the instruction set needs.
inline constexpr int64_t kEpilogueLanes = 16;
inline int64_t RoundUpToLanes(int64_t n) {
  return (n + kEpilogueLanes - 1) / kEpilogueLanes * kEpilogueLanes;
}
typedef float EpilogueFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t EpilogueInts __attribute__((vector_size(64), aligned(4), may_alias));

// Rounding to codes, as loops want it.
struct Rounder {
  explicit Rounder(const Codes& codes);
  Rounder() = default;

  float scale = 1, inverse = 1;
  bool divides = false;       // Where scale is no power of two, so that inverse is rounded.
  float least = 0, most = 0;  // In steps.
  int32_t zero = 0;
  bool to_even = true, nan_is_zero = false;
  double up_positive = 0, up_negative = 0;  // Else: the least fraction that goes up, by sign.

  // Steps are less than 2^22, so that adding 1.5 * 2^23 leaves no place for a fraction.
  static constexpr float kMagic = 0x1.8p23f;

  bool is_simple() const { return to_even && !nan_is_zero; }

  // The codes of numbers, as they are stored.
  template <int kRows>
  [[gnu::always_inline]] void ToCodes(EpilogueFloats (&x)[kRows],
                                      EpilogueInts (&codes)[kRows]) const {
    if (is_simple()) return ToSimpleCodes(x, codes);
    ToSteps(x);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) codes[r] = __builtin_convertvector(x[r], EpilogueInts) + zero;
  }

  // The same where is_simple().
  template <int kRows>
  [[gnu::always_inline]] void ToSimpleCodes(const EpilogueFloats (&x)[kRows],
                                            EpilogueInts (&codes)[kRows]) const {
    // What is added leaves the steps in the low bits of the sum.
    constexpr int32_t kMagicBits = 0x4B400000;
    const int32_t zero_of_bits = zero - kMagicBits;
    EpilogueFloats scaled[kRows];
    Scale(x, scaled);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      codes[r] = reinterpret_cast<EpilogueInts>(scaled[r] + kMagic) + zero_of_bits;
    }
  }

  // Numbers in whole steps. A NaN is the least, or zero.
  template <int kRows>
  [[gnu::always_inline]] void ToSteps(EpilogueFloats (&x)[kRows]) const {
    if (is_simple()) {
      EpilogueFloats scaled[kRows];
      Scale(x, scaled);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) x[r] = (scaled[r] + kMagic) - kMagic;
      return;
    }
    // Seldom, so one function for all, of a copy that may lie in memory.
    EpilogueFloats rows[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) rows[r] = x[r];
    SlowSteps(rows, kRows);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) x[r] = rows[r];
  }

 private:
  // Numbers in steps, clamped, such that they round as x / scale does.
  template <int kRows>
  [[gnu::always_inline]] void Scale(const EpilogueFloats (&x)[kRows],
                                    EpilogueFloats (&scaled)[kRows]) const {
    if (divides) [[unlikely]] {
      // One function for all, of copies that may lie in memory.
      EpilogueFloats numbers[kRows], steps[kRows];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) numbers[r] = x[r];
      RoundToNearestSteps(reinterpret_cast<const float*>(numbers), kRows * kEpilogueLanes, scale,
                          least, most, reinterpret_cast<float*>(steps));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) scaled[r] = steps[r];
      return;
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      scaled[r] = x[r] * inverse;
      scaled[r] = scaled[r] > least ? scaled[r] : EpilogueFloats{} + least;
      scaled[r] = scaled[r] < most ? scaled[r] : EpilogueFloats{} + most;
    }
  }
  // In place, by the other roundings, and where a NaN is zero.
  void SlowSteps(EpilogueFloats* rows, int count) const;
};

// What is known of numbers that a norm reads.
struct NumberRange {
  // No magnitude is larger; infinite where numbers may be.
  double largest = std::numeric_limits<double>::infinity();
  // A NaN that a norm makes of them is found as the net runs, since they are the caller's.
  bool watched = false;

  // Those that are rounded to steps.
  static NumberRange OfSteps(double least, double most, double step) {
    return {std::max(std::abs(least), std::abs(most)) * step, false};
  }
  // Those of either.
  void Include(const NumberRange& other) { largest = std::max(largest, other.largest); }
};

// What a norm makes of a channel's numbers. OutOfRange, naming the channel, where that may be NaN,
// which no code stands for and which must not become one silently: where its own numbers are NaN,
// or, unless numbers are watched, where infinity may meet zero or another infinity.
absl::StatusOr<NumberRange> CheckNorm(int64_t channel, float mean, float scale, float shift,
                                      const NumberRange& numbers);

class Epilogue {
 public:
  // `fused` and `dst` are those of the kernel's spec; `channels` is the extent of axis 1 of the
  // result, which is that of norms and outputs.
  Epilogue(const KernelSpec& spec, int64_t channels);

  // Floats that Prepare writes.
  int64_t prepared_floats() const { return norms_ * 3 * RoundUpToLanes(channels_); }
  // Writes the norms' numbers, from the tensors, to `prepared`. `numbers` are those that the first
  // op reads. As CheckNorm where a rounding follows that has no code for a NaN.
  absl::Status Prepare(const KernelArgs& args, NumberRange numbers, float* prepared) const;

  struct Op {
    enum Kind : uint8_t { kNorm, kRelu, kRound };
    Kind kind;
    int norm = 0;  // Its place among the norms.
    Rounder rounder;
  };

  // What the loops read. `by_lane`: neighbouring numbers are those of neighbouring channels; else
  // they are all of one channel.
  struct Loop {
    const Op* ops;
    int count;
    const float* norms;
    int64_t stride;  // Of the norms' numbers.
    bool stores_codes;
    Rounder rounder;  // Of the result.

    // Whether there is nothing to do but a norm, if any, and to store numbers, rounded in the
    // simple way if at all.
    bool is_short() const {
      return (count == 0 || has_only_norm()) && (!stores_codes || rounder.is_simple());
    }
    bool has_only_norm() const { return count == 1 && ops[0].kind == Op::kNorm; }

    // The ops on rows of the same channels. `nan`, where asked for, is set in lanes where a norm
    // makes a NaN.
    template <bool kByLane, int kRows>
    [[gnu::always_inline]] void Apply(EpilogueFloats (&x)[kRows], int64_t channel,
                                      EpilogueInts* nan = nullptr) const {
      for (int i = 0; i < count; ++i) {
        const Op& op = ops[i];
        if (op.kind == Op::kRelu) {
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) x[r] = x[r] < 0 ? EpilogueFloats{} : x[r];
        } else if (op.kind == Op::kNorm) {
          const float* numbers = norms + op.norm * 3 * stride + channel;
          const auto at = [&](const float* p) {
            if constexpr (kByLane) return *reinterpret_cast<const EpilogueFloats*>(p);
            return EpilogueFloats{} + *p;
          };
          const EpilogueFloats mean = at(numbers), scale = at(numbers + stride);
          const EpilogueFloats shift = at(numbers + 2 * stride);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) x[r] = (x[r] - mean) * scale + shift;
          if (nan == nullptr) continue;
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) *nan |= x[r] != x[r];
        } else {
          op.rounder.ToSteps(x);
          // Formats know one zero.
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) x[r] = x[r] * op.rounder.scale + 0.0f;
        }
      }
    }

    // All of it for numbers that are neighbours in the result, where x[0] goes to `at`.
    // `channel` is that of x[0]: with `by_lane` the others have the channels behind it, else the
    // same. Returns whether a number is NaN, or a norm makes one.
    bool Run(const float* x, int64_t numbers, bool by_lane, int64_t channel, void* dst, int64_t at,
             bool bytes) const;

    // Stores the first `n` numbers of the first `rows` rows, the first of which lies at `at` in the
    // result, and the next ones `row_stride` behind each other.
    template <int kRows>
    [[gnu::always_inline]] void Store(EpilogueFloats (&x)[kRows], int rows, void* dst, int64_t at,
                                      int64_t row_stride, int64_t n, bool bytes) const {
      if (!stores_codes) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          if (r < rows) StoreLanes(x[r], static_cast<float*>(dst) + at + r * row_stride, n);
        }
        return;
      }
      EpilogueInts codes[kRows];
      rounder.ToCodes(x, codes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows) continue;
        const EpilogueInts stored = codes[r];
        const int64_t place = at + r * row_stride;
        if (bytes) {
          typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
          StoreLanes(__builtin_convertvector(stored, Bytes), static_cast<uint8_t*>(dst) + place, n);
        } else {
          StoreLanes(stored, static_cast<int32_t*>(dst) + place, n);
        }
      }
    }

   private:
    template <typename V, typename T>
    [[gnu::always_inline]] static void StoreLanes(V x, T* dst, int64_t n) {
      if (n >= kEpilogueLanes) {
        __builtin_memcpy(dst, &x, sizeof(x));
        return;
      }
      T lanes[kEpilogueLanes];
      __builtin_memcpy(lanes, &x, sizeof(x));
      for (int64_t i = 0; i < n; ++i) dst[i] = lanes[i];
    }
  };
  Loop MakeLoop(const float* prepared) const;

  bool stores_bytes() const { return bytes_; }
  // Whether a NaN that reaches the first rounding is an error.
  bool refuses_nan() const { return refuses_nan_; }
  bool stores_codes() const { return stores_codes_; }

 private:
  struct Norm {
    double eps;
    int weight, bias, mean, variance;  // Positions of tensors.
  };

  const int64_t channels_;
  std::vector<Op> ops_;
  std::vector<Norm> norm_tensors_;
  int norms_ = 0;
  bool stores_codes_ = false, bytes_ = false, refuses_nan_ = false;
  Rounder rounder_;
};

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_EPILOGUE_H_
