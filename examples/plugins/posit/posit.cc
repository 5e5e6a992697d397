// Example plugin: posits, a number format from outside. "posit 8/1" is 8 bits with 1 exponent bit,
// "posit 8" has the default 2 of the standard (Posit Working Group, Standard for Posit Arithmetic,
// 2022, section 4.1 rounding).
//
//   $SDK/bin/ch formats --plugins=./posit.so describe 'posit 8/1'
//   $SDK/bin/ch transform jsc-tiny jsc --plugins=./posit.so
//       --set='passes.quantize.linear.config="posit 8/1"'        (one line)
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/plugin/plugin.h"

namespace posit {

// The value of a positive code of `bits` bits: useed^k * 2^e * 1.f, where k is the run of equal
// bits behind the sign (the regime), e the next `es` bits and f the rest; missing bits are 0.
double ValueOf(uint32_t code, int bits, int es) {
  int at = bits - 2;
  const auto bit = [&](int i) { return i >= 0 ? code >> i & 1 : 0u; };
  const uint32_t first = bit(at);
  int run = 0;
  while (at >= 0 && bit(at) == first) ++run, --at;
  --at;  // The bit that ends the regime.
  int exponent = (first != 0 ? run - 1 : -run) * (1 << es);
  for (int i = es - 1; i >= 0; --i, --at) exponent += static_cast<int>(bit(at)) << i;
  double fraction = 1;
  for (double weight = 0.5; at >= 0; --at, weight /= 2) fraction += bit(at) * weight;
  return std::ldexp(fraction, exponent);
}

class Posit final : public mase::Format {
 public:
  Posit(const mase::FormatProto& proto, int bits, int es) : Format(proto), bits_(bits) {
    for (uint32_t code = 1; code < 1u << (bits - 1); ++code) {
      values_.push_back(static_cast<float>(ValueOf(code, bits, es)));
      // Between two codes the border is the value of the code of one more bit, not their mean.
      borders_.push_back(static_cast<float>(ValueOf(2 * code + 1, bits + 1, es)));
    }
  }

  int code_bits() const override { return bits_; }
  double BitsPerValue(const mase::Shape&) const override { return bits_; }
  double lowest() const override { return -highest(); }
  double highest() const override { return values_.back(); }
  double step() const override { return values_.front(); }

  std::vector<float> Values() const override {
    std::vector<float> all;
    for (size_t i = values_.size(); i-- > 0;) all.push_back(-values_[i]);
    all.push_back(0);
    all.insert(all.end(), values_.begin(), values_.end());
    return all;
  }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const mase::Shape& shape,
                          uint64_t) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) dst[i] = FromCode(CodeOf(src[i]));
    return absl::OkStatus();
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const mase::Shape& shape) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) saturated[i] = std::fabs(src[i]) > highest();
    return absl::OkStatus();
  }

  absl::Status DoEncode(const float* src, const mase::Shape& shape,
                        mase::EncodedTensor* encoded) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) encoded->codes.push_back(CodeOf(src[i]));
    return absl::OkStatus();
  }

  absl::Status DoDecode(const mase::EncodedTensor& encoded, float* dst) const override {
    for (size_t i = 0; i < encoded.codes.size(); ++i) {
      if (encoded.codes[i] >> bits_ != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("code ", encoded.codes[i], " has more than ", bits_, " bits"));
      }
      dst[i] = FromCode(encoded.codes[i]);
    }
    return absl::OkStatus();
  }

 private:
  uint32_t not_a_real() const { return 1u << (bits_ - 1); }

  // Nothing but zero becomes zero, and nothing overflows.
  uint32_t CodeOf(float x) const {
    if (std::isnan(x) || std::isinf(x)) return not_a_real();
    if (x == 0) return 0;
    const float size = std::fabs(x);
    // The last value that is not above.
    size_t at = std::upper_bound(values_.begin(), values_.end(), size) - values_.begin();
    if (at > 0) --at;
    uint32_t code = static_cast<uint32_t>(at) + 1;
    if (at + 1 < values_.size() &&
        (size > borders_[at] || (size == borders_[at] && code % 2 == 1))) {
      ++code;  // Ties go to the even code.
    }
    return x > 0 ? code : (~code + 1) & (2 * not_a_real() - 1);
  }

  float FromCode(uint32_t code) const {
    if (code == 0) return 0;
    if (code == not_a_real()) return std::numeric_limits<float>::quiet_NaN();
    if (code < not_a_real()) return values_[code - 1];
    return -values_[((~code + 1) & (2 * not_a_real() - 1)) - 1];
  }

  const int bits_;
  std::vector<float> values_, borders_;  // Of the codes 1, 2, ...
};

absl::StatusOr<std::unique_ptr<const mase::Format>> Create(const mase::FormatProto& proto) {
  const double bits = proto.plugin().value(0), es = proto.plugin().value(1);
  MASE_RETURN_IF_ERROR(mase::CheckRange("posit", "width", bits, 3, 16));
  MASE_RETURN_IF_ERROR(mase::CheckRange("posit", "es", es, 0, 3));
  if (bits != std::floor(bits) || es != std::floor(es)) {
    return absl::InvalidArgumentError("posit: width and es are whole numbers");
  }
  MASE_RETURN_IF_ERROR(mase::CheckPolicies("posit", proto, {}));
  return std::make_unique<Posit>(proto, static_cast<int>(bits), static_cast<int>(es));
}

constexpr mase::FamilyParameter kParameters[] = {
    {"width", mase::FamilyParameter::kRequired, true},
    {.name = "es", .need = mase::FamilyParameter::kOptional, .in_precision = true, .fallback = 2}};

const mase::Family kPosit = {.family_case = mase::FormatProto::kPlugin,
                             .name = "posit",
                             .class_suffix = "Posit",
                             .summary = "(2^2^es)^k 2^e 1.f, a run of bits giving k",
                             .example = "plugin { family: 'posit' value: 8 value: 1 }",
                             .parameters = kParameters,
                             .create = Create,
                             .kind = mase::FormatKind::kFloatingPoint,
                             .has_reference = false};

absl::Status Register(mase::PassRegistrar& registrar) { return registrar.AddFormat(&kPosit); }

}  // namespace posit

MASE_DEFINE_PLUGIN("posit", "1.0.0", posit::Register, .owner = "MASE in C++", .status = "stable")
