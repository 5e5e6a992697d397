// Plugin `@NAME@`: a number format. "@NAME@ 8/4" is multiples of 2^-4 in 8 bits, without the least
// code, so that the range is symmetric.
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/plugin/plugin.h"

namespace @NAME@ {

class @CLASS@ final : public mase::Format {
 public:
  @CLASS@(const mase::FormatProto& proto, int width, int frac_width)
      : Format(proto),
        width_(width),
        most_((1 << (width - 1)) - 1),
        step_(std::ldexp(1.0f, -frac_width)) {}

  int code_bits() const override { return width_; }
  double BitsPerValue(const mase::Shape&) const override { return width_; }
  double lowest() const override { return -highest(); }
  double highest() const override { return most_ * static_cast<double>(step_); }
  double step() const override { return step_; }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const mase::Shape& shape,
                          uint64_t) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) dst[i] = Round(src[i]) * step_;
    return absl::OkStatus();
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const mase::Shape& shape) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) saturated[i] = std::fabs(src[i]) > highest();
    return absl::OkStatus();
  }

  // Two's complement.
  absl::Status DoEncode(const float* src, const mase::Shape& shape,
                        mase::EncodedTensor* encoded) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const float rounded = Round(src[i]);
      if (std::isnan(rounded)) return NoCodeError(i, rounded);
      encoded->codes.push_back(static_cast<uint32_t>(static_cast<int32_t>(rounded)) &
                               ((1u << width_) - 1));
    }
    return absl::OkStatus();
  }

  absl::Status DoDecode(const mase::EncodedTensor& encoded, float* dst) const override {
    for (size_t i = 0; i < encoded.codes.size(); ++i) {
      const int32_t code = static_cast<int32_t>(encoded.codes[i]);
      dst[i] = static_cast<float>(code > most_ ? code - (1 << width_) : code) * step_;
    }
    return absl::OkStatus();
  }

 private:
  // In steps; a NaN stays one.
  float Round(float x) const {
    const float most = static_cast<float>(most_);
    const float steps = std::nearbyint(x / step_);
    return steps > most ? most : steps < -most ? -most : steps;
  }

  const int width_, most_;
  const float step_;
};

absl::StatusOr<std::unique_ptr<const mase::Format>> Create(const mase::FormatProto& proto) {
  const double width = proto.plugin().value(0), frac_width = proto.plugin().value(1);
  MASE_RETURN_IF_ERROR(mase::CheckRange("@NAME@", "width", width, 2, 16));
  MASE_RETURN_IF_ERROR(mase::CheckRange("@NAME@", "frac_width", frac_width, -32, 32));
  if (width != std::floor(width) || frac_width != std::floor(frac_width)) {
    return absl::InvalidArgumentError("@NAME@: width and frac_width are whole numbers");
  }
  MASE_RETURN_IF_ERROR(mase::CheckPolicies("@NAME@", proto, {}));
  return std::make_unique<@CLASS@>(proto, static_cast<int>(width), static_cast<int>(frac_width));
}

constexpr mase::FamilyParameter kParameters[] = {
    {"width", mase::FamilyParameter::kRequired, true},
    {.name = "frac_width",
     .need = mase::FamilyParameter::kOptional,
     .in_precision = true,
     .fallback = 4}};

const mase::Family k@CLASS@ = {.family_case = mase::FormatProto::kPlugin,
                             .name = "@NAME@",
                             .class_suffix = "@CLASS@",
                             .summary = "code 2^-frac_width, codes from -max to max",
                             .example = "plugin { family: '@NAME@' value: 8 value: 4 }",
                             .parameters = kParameters,
                             .create = Create,
                             .kind = mase::FormatKind::kFixedPoint,
                             .has_reference = false};

absl::Status Register(mase::PassRegistrar& registrar) { return registrar.AddFormat(&k@CLASS@); }

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
