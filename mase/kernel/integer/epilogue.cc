#include "mase/kernel/integer/epilogue.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/power_of_two.h"
#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"

namespace mase {
namespace {

// Positive and negative fractions from which on a rounding goes away from zero.
void SetBySign(Codes::Rounding rounding, Rounder& rounder) {
  constexpr double kAny = std::numeric_limits<double>::min(), kHalf = 0.5, kNone = 2;
  rounder.to_even = false;
  switch (rounding) {
    case Codes::Rounding::kNearestEven:
      rounder.to_even = true;
      return;
    case Codes::Rounding::kNearestAway:
      rounder.up_positive = rounder.up_negative = kHalf;
      return;
    case Codes::Rounding::kFloor:
      rounder.up_positive = kNone, rounder.up_negative = kAny;
      return;
    case Codes::Rounding::kCeiling:
      rounder.up_positive = kAny, rounder.up_negative = kNone;
      return;
    case Codes::Rounding::kTowardZero:
      rounder.up_positive = rounder.up_negative = kNone;
      return;
    case Codes::Rounding::kAwayFromZero:
      rounder.up_positive = rounder.up_negative = kAny;
      return;
  }
}

// Loop::Run where all there is to do is to round to bytes, ties to even: the inputs of most nets.
[[gnu::always_inline]] inline bool EncodeBytes(const Rounder& rounder, const float* x,
                                               int64_t numbers, uint8_t* dst) {
  constexpr float kMagic = Rounder::kMagic;
  const float inverse = rounder.inverse, least = rounder.least, most = rounder.most;
  const int32_t zero = rounder.zero;
  int32_t nan = 0;
  if (rounder.divides) {
    constexpr int64_t kBlock = 256;
    float steps[kBlock];
    for (int64_t i = 0; i < numbers; i += kBlock) {
      const int64_t count = std::min(kBlock, numbers - i);
      RoundToNearestSteps(x + i, count, rounder.scale, least, most, steps);
      for (int64_t k = 0; k < count; ++k) {
        dst[i + k] = static_cast<uint8_t>(static_cast<int32_t>(steps[k]) + zero);
        nan |= static_cast<int32_t>(x[i + k] != x[i + k]);
      }
    }
    return nan != 0;
  }
  for (int64_t i = 0; i < numbers; ++i) {
    float scaled = x[i] * inverse;
    scaled = scaled > least ? scaled : least;
    scaled = scaled < most ? scaled : most;
    const float steps = (scaled + kMagic) - kMagic;
    dst[i] = static_cast<uint8_t>(static_cast<int32_t>(steps) + zero);
    nan |= static_cast<int32_t>(x[i] != x[i]);
  }
  return nan != 0;
}

// Loop::Run for all else.
template <bool kByLane>
[[gnu::always_inline]] inline bool RunLoop(const Epilogue::Loop& epilogue, const float* x,
                                           int64_t numbers, int64_t channel, char* dst,
                                           bool bytes) {
  const Epilogue::Loop loop = epilogue;  // What is stored may not change it.
  const int64_t size = loop.stores_codes && bytes ? 1 : 4;
  EpilogueInts nan = {};
  for (int64_t i = 0; i < numbers; i += kEpilogueLanes) {
    // The last numbers go through full registers, too.
    const int64_t count = std::min(kEpilogueLanes, numbers - i);
    float from[kEpilogueLanes] = {}, to[kEpilogueLanes];
    const bool whole = count == kEpilogueLanes;
    if (!whole) std::copy_n(x + i, count, from);
    EpilogueFloats v[] = {*reinterpret_cast<const EpilogueFloats*>(whole ? x + i : from)};
    nan |= v[0] != v[0];
    loop.Apply<kByLane>(v, channel + (kByLane ? i : 0), &nan);
    loop.Store(v, 1, whole ? dst + i * size : reinterpret_cast<char*>(to), 0, 0, kEpilogueLanes,
               bytes);
    if (!whole) std::memcpy(dst + i * size, to, static_cast<size_t>(count * size));
  }
  int32_t any = 0;
  for (int lane = 0; lane < kEpilogueLanes; ++lane) any |= nan[lane];
  return any != 0;
}

}  // namespace

Rounder::Rounder(const Codes& codes)
    : scale(codes.scale),
      inverse(1 / codes.scale),
      divides(!IsPowerOfTwo(codes.scale)),
      least(static_cast<float>(codes.least())),
      most(static_cast<float>(codes.most())),
      zero(codes.zero),
      nan_is_zero(codes.nan_is_zero) {
  SetBySign(codes.rounding, *this);
}

[[gnu::noinline]] void Rounder::SlowSteps(EpilogueFloats* rows, int count) const {
  // Steps are less than 2^22: adding 1.5 * 2^52 leaves no place for a fraction, and an int32 holds
  // them.
  constexpr double kNoFraction = 0x1.8p52;
  const double low = static_cast<double>(least), high = static_cast<double>(most);
  float* const x = reinterpret_cast<float*>(rows);
  for (int64_t i = 0; i < count * kEpilogueLanes; ++i) {
    const double number = nan_is_zero && x[i] != x[i] ? 0.0 : static_cast<double>(x[i]);
    // In double a quotient of floats is on the side of a tie, and of a whole number, on which it is
    // in truth.
    double steps = number / static_cast<double>(scale);
    steps = steps > low ? steps : low;
    steps = steps < high ? steps : high;
    const double whole = static_cast<int32_t>(steps), fraction = std::abs(steps - whole);
    const double away = number < 0 ? whole - 1 : whole + 1;
    const double to_side = fraction >= (number < 0 ? up_negative : up_positive) ? away : whole;
    x[i] = static_cast<float>(to_even ? (steps + kNoFraction) - kNoFraction : to_side);
  }
}

Epilogue::Epilogue(const KernelSpec& spec, int64_t channels) : channels_(channels) {
  // The step itself may be one of those that are fused behind others.
  std::vector<FusedOp> all;
  if (spec.op == ops::kRelu || spec.op == kEncode || spec.op == ops::kBatchNorm1d ||
      spec.op == ops::kBatchNorm2d) {
    FusedOp first = {.op = std::string(spec.op), .attributes = *spec.attributes};
    first.tensors = spec.tensors;
    first.codes = spec.codes;
    all.push_back(std::move(first));
  }
  all.insert(all.end(), spec.fused.begin(), spec.fused.end());
  bool rounded = false;
  for (const FusedOp& op : all) {
    if (op.op == ops::kRelu) {
      ops_.push_back({Op::kRelu});
    } else if (op.op == kEncode) {
      ops_.push_back({Op::kRound, 0, Rounder(*op.codes)});
      if (!rounded) refuses_nan_ = !op.codes->nan_is_zero;
      rounded = true;
    } else if (op.op != kDecode) {
      ops_.push_back({Op::kNorm, norms_++});
      norm_tensors_.push_back({op.attributes.Float("eps"), op.TensorIndex("weight"),
                               op.TensorIndex("bias"), op.TensorIndex("running_mean"),
                               op.TensorIndex("running_var")});
    }
  }
  if (!spec.dst.codes.has_value()) return;
  stores_codes_ = true;
  bytes_ = spec.dst.codes->is_byte();
  rounder_ = Rounder(*spec.dst.codes);
  // Rounding twice to one grid is rounding once.
  if (!all.empty() && all.back().op == kEncode && all.back().codes == spec.dst.codes) {
    ops_.pop_back();
  }
  // A relu before the rounding is a range that begins at zero.
  if (rounder_.is_simple() && !ops_.empty() && ops_.back().kind == Op::kRelu) {
    ops_.pop_back();
    rounder_.least = std::max(rounder_.least, 0.0f);
  }
}

absl::Status Epilogue::Prepare(const KernelArgs& args, NumberRange numbers, float* prepared) const {
  const int64_t stride = RoundUpToLanes(channels_);
  for (const Op& op : ops_) {
    if (op.kind == Op::kRound) {
      numbers = NumberRange::OfSteps(op.rounder.least, op.rounder.most, op.rounder.scale);
    }
    if (op.kind != Op::kNorm) continue;
    const Norm& norm = norm_tensors_[op.norm];
    std::fill_n(prepared, 3 * stride, 0.0f);
    NumberRange results = {.largest = 0, .watched = numbers.watched};
    for (int64_t c = 0; c < channels_; ++c) {
      const double weight =
          norm.weight < 0 ? 1.0 : static_cast<double>(args.Tensor<float>(norm.weight)[c]);
      prepared[c] = args.Tensor<float>(norm.mean)[c];
      prepared[stride + c] =
          static_cast<float>(weight / std::sqrt(args.Tensor<float>(norm.variance)[c] + norm.eps));
      prepared[2 * stride + c] = norm.bias < 0 ? 0.0f : args.Tensor<float>(norm.bias)[c];
      if (!refuses_nan_) continue;
      MASE_ASSIGN_OR_RETURN(
          const NumberRange result,
          CheckNorm(c, prepared[c], prepared[stride + c], prepared[2 * stride + c], numbers));
      results.Include(result);
    }
    numbers = results;
    prepared += 3 * stride;
  }
  return absl::OkStatus();
}

absl::StatusOr<NumberRange> CheckNorm(int64_t channel, float mean, float scale, float shift,
                                      const NumberRange& numbers) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  constexpr float kSmallest = std::numeric_limits<float>::min();  // Below, numbers are taken for 0.
  const double difference = numbers.largest + std::abs(static_cast<double>(mean));
  const double product = difference * std::abs(static_cast<double>(scale));
  const bool is_nan = std::isnan(mean) || std::isnan(scale) || std::isnan(shift);
  const bool may_be_nan = (std::isinf(mean) && numbers.largest > kLargest) || std::isinf(scale) ||
                          (difference > kLargest && std::abs(scale) < kSmallest) ||
                          (std::isinf(shift) && !(product <= kLargest));
  if (is_nan || (may_be_nan && !numbers.watched)) {
    return absl::OutOfRangeError(
        absl::StrCat("channel ", channel, " of the batch norm behind it subtracts ", mean,
                     ", multiplies with ", scale, " and adds ", shift,
                     is_nan ? ", and no code stands for nan"
                            : ", of which a nan can come, and no code stands for it",
                     "; look at its running_var and weights"));
  }
  const double result = product + std::abs(static_cast<double>(shift));
  return NumberRange{
      std::isnan(result) || result > kLargest ? std::numeric_limits<double>::infinity() : result,
      numbers.watched};
}

bool Epilogue::Loop::Run(const float* x, int64_t numbers, bool by_lane, int64_t channel, void* dst,
                         int64_t at, bool bytes) const {
  bool has_nan = false;
  char* to = static_cast<char*>(dst) + at * (stores_codes && bytes ? 1 : 4);
  const bool encodes = stores_codes && bytes && rounder.is_simple();
  ForBestIsa([&] {
    if (count == 0 && encodes) {
      has_nan = EncodeBytes(rounder, x, numbers, reinterpret_cast<uint8_t*>(to));
    } else {
      has_nan = by_lane ? RunLoop<true>(*this, x, numbers, channel, to, bytes)
                        : RunLoop<false>(*this, x, numbers, channel, to, bytes);
    }
  });
  return has_nan;
}

Epilogue::Loop Epilogue::MakeLoop(const float* prepared) const {
  return {ops_.data(),   static_cast<int>(ops_.size()),
          prepared,      RoundUpToLanes(channels_),
          stores_codes_, rounder_};
}

}  // namespace mase
