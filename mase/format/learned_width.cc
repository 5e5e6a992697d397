#include "mase/format/learned_width.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "mase/format/format.h"

namespace mase {
namespace {

constexpr int kMostBits = 24;

bool IsSigned(const IntegerFormat& integer) {
  return !integer.has_is_signed() || integer.is_signed();
}

}  // namespace

bool HasLearnedWidth(const FormatProto& proto) {
  return proto.has_integer() && proto.integer().learned_width() == "tensor";
}

FracWidthRange FracWidthRangeOf(const FormatProto& proto) {
  const IntegerFormat integer = WithDefaults(proto).integer();
  const int in_front = integer.width() - integer.frac_width();
  const int least = IsSigned(integer) ? 2 : 1;
  const int most = std::max(kMostBits, integer.width());
  return {static_cast<float>(least - in_front), static_cast<float>(most - in_front)};
}

float TrainedFracWidth(const FormatProto& proto) {
  const IntegerFormat integer = WithDefaults(proto).integer();
  const FracWidthRange range = FracWidthRangeOf(proto);
  const float trained = integer.has_trained_frac_width() ? integer.trained_frac_width()
                                                         : static_cast<float>(integer.frac_width());
  return std::clamp(trained, range.lowest, range.highest);
}

absl::Status SetTrainedFracWidth(float frac_width, FormatProto& proto) {
  if (!std::isfinite(frac_width)) {
    return absl::InvalidArgumentError("integer: the learned width is no finite number");
  }
  const FracWidthRange range = FracWidthRangeOf(proto);
  const IntegerFormat before = WithDefaults(proto).integer();
  IntegerFormat& integer = *proto.mutable_integer();
  const float trained = std::clamp(frac_width, range.lowest, range.highest);
  const int whole = static_cast<int>(std::nearbyint(trained));
  integer.set_trained_frac_width(trained);
  integer.set_width(before.width() - before.frac_width() + whole);
  integer.set_frac_width(whole);
  return absl::OkStatus();
}

float FracWidthGradient(const FormatProto& proto, absl::Span<const float> src,
                        absl::Span<const float> diff_dst) {
  const IntegerFormat integer = WithDefaults(proto).integer();
  const double step = std::ldexp(1.0, -integer.frac_width());
  const double highest = std::ldexp(1.0, integer.width() - (IsSigned(integer) ? 1 : 0)) - 1;
  const double lowest = IsSigned(integer) ? -highest - 1 : 0;
  double sum = 0;
  for (size_t i = 0; i < src.size(); ++i) {
    const double scaled = src[i] / step;
    const double code = std::nearbyint(scaled);
    sum += diff_dst[i] * (code < lowest ? 0 : code > highest ? 1 : scaled - code);
  }
  return static_cast<float>(sum * step * M_LN2);
}

}  // namespace mase
