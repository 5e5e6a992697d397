// Family `flexround`: weights rounded to multiples of a learned step.
//
//   q = s1 * round(x / s1)
//
// with S2, s3 and s4 at their initial 1. EXACT: ties to even; with a frac_width the default s1 is
// 2^-frac_width, and with a width codes saturate. REFERENCE: floor(x / s1 + 0.5), s1 = 1 by
// default, no bounds and no gradient through the floor.
//
// The output of a FlexRound layer is rounded too, as `integer` of width and frac_width is
// (`output: true`); in REFERENCE not if it has fewer than ten elements, or none above 1e-5.
#include <algorithm>
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/grid_ops.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "flexround";
constexpr absl::string_view kOps[] = {ops::kLinear, ops::kConv1d, ops::kConv2d};
// s2 to s4, which a format does not hold, are 1 here.
constexpr LearnedParameter kLearned[] = {{"s1", "s1_init"}};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"frac_width", FamilyParameter::kOptional, true},
    {"s1_init", FamilyParameter::kOptional},
};

// Of outputs.
constexpr int kOutputWidth = 8, kOutputFracWidth = 4;

struct Traits : ScaledTraits {
  float scale = 1;

  float Scale(const std::vector<float>&) const { return scale; }
  double Code(double x, double s, double) const {
    const double code = std::nearbyint(x / s);
    return code < lo ? lo : code > hi ? hi : code;
  }
};

// MASE's rounding of outputs: integers, but for tensors that are small in either sense.
class ReferenceOutput final : public GridFormat {
 public:
  ReferenceOutput(const FormatProto& proto, const Grid& grid) : GridFormat(proto, grid, Policy()) {}

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    const int64_t count = shape.elements();
    float largest = 0;
    for (int64_t i = 0; i < count; ++i) {
      // NaN stays: it is not small.
      largest = std::fabs(src[i]) <= largest ? largest : std::fabs(src[i]);
      if (std::isnan(largest)) break;
    }
    if (count < 10 || largest <= 1e-5f) {
      if (dst != src) std::copy_n(src, count, dst);
      return absl::OkStatus();
    }
    const float scale = PowerOfTwo(FracWidth(proto().flexround()));
    const float lo = static_cast<float>(lowest()), hi = static_cast<float>(highest());
    ForBestIsa([=] {
      for (int64_t i = 0; i < count; ++i) {
        dst[i] = std::rint(Clamp(src[i], lo, hi) * scale) / scale;
      }
    });
    return absl::OkStatus();
  }

 private:
  static int FracWidth(const FlexRoundFormat& output) {
    return output.has_frac_width() ? output.frac_width() : kOutputFracWidth;
  }
};

absl::StatusOr<std::unique_ptr<const Format>> CreateOutput(const FormatProto& proto) {
  const FlexRoundFormat& output = proto.flexround();
  const int width = output.has_width() ? output.width() : kOutputWidth;
  const int frac_width = output.has_frac_width() ? output.frac_width() : kOutputFracWidth;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, 1, 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "frac_width", frac_width, width - 127, 126));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const Grid grid = Grid::TwosComplement(width, true, -frac_width);
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, grid, Policy::Of(proto));
  }
  return std::make_unique<ReferenceOutput>(proto, grid);
}

// A layer's output is rounded by data_in's width and frac_width, 8 and 4 by default.
void ForOperand(absl::string_view operand, FormatProto* format) {
  if (operand != operands::kDataOut) return;
  FlexRoundFormat given;
  if (format->has_flexround()) given = format->flexround();
  FlexRoundFormat& output = *format->mutable_flexround();
  output.Clear();
  output.set_width(given.has_width() ? given.width() : kOutputWidth);
  output.set_frac_width(given.has_frac_width() ? given.frac_width() : kOutputFracWidth);
  output.set_output(true);
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  if (proto.flexround().output()) return CreateOutput(proto);
  const FlexRoundFormat& flexround = proto.flexround();
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  if (flexround.has_frac_width()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "frac_width", flexround.frac_width(), -126, 126));
  }
  if (flexround.has_width()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "width", flexround.width(), 1, 24));
  }
  const float scale = flexround.has_s1_init() ? flexround.s1_init()
                      : flexround.has_frac_width() && !reference
                          ? PowerOfTwo(-flexround.frac_width())
                          : 1.0f;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "s1_init", scale, std::numeric_limits<float>::min(),
                                  std::numeric_limits<float>::max()));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  Traits traits;
  traits.scale = scale;
  traits.stores_scale = false;
  traits.has_codes = flexround.has_width() && !reference;
  traits.bits = traits.has_codes ? flexround.width() : 0;
  traits.hi = traits.has_codes ? std::ldexp(1.0, traits.bits - 1) - 1
                               : std::numeric_limits<double>::infinity();
  traits.lo = traits.has_codes ? -std::ldexp(1.0, traits.bits - 1) : -traits.hi;
  traits.gradient_factor = reference ? 0 : 1;
  return MakeScaledFormat(proto, traits,
                          [=](const float* src, float* dst, const Shape& shape, uint64_t) {
                            const int64_t count = shape.elements();
                            ForBestIsa([=] {
                              for (int64_t i = 0; i < count; ++i) {
                                dst[i] = std::floor(src[i] / scale + 0.5f) * scale;
                              }
                            });
                            return absl::OkStatus();
                          });
}

}  // namespace

const Family& FlexRoundFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kFlexround,
      .name = kName,
      .class_suffix = "FlexRound",
      .summary = "multiples of a learned step: s1 * round(x / s1)",
      .example = "flexround { s1_init: 0.0625 width: 8 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .scheme = OperandScheme::kWeightAndOutput,
      .ops = kOps,
      .for_operand = ForOperand,
      .learned = kLearned,
  };
  return kFamily;
}

}  // namespace mase
