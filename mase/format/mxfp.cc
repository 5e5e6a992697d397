// Family `mxfp`: small float elements, a power-of-two scale for a run along one axis.
//
//   e = clamp(floor(log2 M) - el_max, -127, 127);  q = element(x / 2^e) * 2^e
//
// where el_max is the exponent of the largest element. EXACT: OCP MX, whose E4M3 ends at 448 and
// E5M2 at 57344, or every code a number (ALL_FINITE). REFERENCE: all codes are numbers, elements
// go through MASE's codec (codec.h), and blocks straddle rows that the size does not divide.
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/codec.h"
#include "mase/format/family.h"
#include "mase/format/mx_blocks.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "mxfp";
constexpr FamilyParameter kParameters[] = {
    {"block_size", FamilyParameter::kRequired, true},
    {"exponent_width", FamilyParameter::kRequired, true, "element_exp_bits"},
    {"frac_width", FamilyParameter::kRequired, true, "element_frac_bits"},
    {"block_dim", FamilyParameter::kOptional},
    {"scale_bits", FamilyParameter::kOptional, false, "scale_exp_bits"},
    {"quantile_search", FamilyParameter::kOptional},
};

using ReferenceCodec = reference::Codec<true>;

// 2^e.
struct ReferenceParams {
  float largest;  // Exponent of the largest element.

  BlockParams operator()(uint32_t max_bits) const {
    if (max_bits < 0x00800000) return {reference::Exp2(-127), 0};  // Subnormals count as zero.
    if (max_bits >= 0x7F800000) return {reference::Exp2(128), 0};
    const float e = reference::FloorLog2(FromBits(max_bits));
    return {reference::Exp2(Clamp(e - largest, -127, 128)), 0};
  }
};

struct ReferenceOp {
  ReferenceCodec codec;

  float operator()(float x, BlockParams params) const {
    x = (Bits(x) & 0x7F800000) == 0 ? 0.0f : x;
    return codec(x / params.a) * params.a;
  }
};

// MASE's search compares code bytes, read as numbers and scaled in 8-bit arithmetic, with the
// elements: meaningless, and reproduced.
struct ReferenceSearch {
  ReferenceCodec codec;
  Grid grid;
  int largest;

  void operator()(const float* block, const float* original, int size, float* out) const {
    std::vector<float> x(block, block + size), candidate(size);
    bool zero = true;
    for (float& v : x) {
      v = (Bits(v) & 0x7F800000) == 0 ? 0.0f : v;
      zero &= v == 0;
    }
    float best = std::numeric_limits<float>::infinity();
    for (double p : kSearchQuantiles) {
      const float maximum = ReferenceQuantile(x.data(), size, p);
      const uint32_t bits = Bits(maximum);
      const float e = maximum == 0 || bits >= 0x7F800000
                          ? 128
                          : Clamp(reference::FloorLog2(maximum) - largest, -127, 128);
      const int scale_code = zero ? 0 : static_cast<int>(e) + 127;
      const int shift = (scale_code - 127) & 255;
      const float weight = shift < 8 ? std::ldexp(1.0f, shift) : 0.0f;
      double error = 0;
      for (int i = 0; i < size; ++i) {
        const float q = codec(x[i] / reference::Exp2(e));
        uint32_t code = grid.Code(std::fabs(q)).value_or(0);
        if (x[i] < 0) code |= 1u << (grid.bits - 1);
        const float read =
            static_cast<float>(code) / std::ldexp(1.0f, codec.fraction_bits - 1) * weight;
        const float difference = read - original[i];
        error += difference * difference;
        candidate[i] = q * reference::Exp2(static_cast<float>(scale_code - 127));
      }
      const bool better = static_cast<float>(error) < best;
      if (better) best = static_cast<float>(error);
      if (better || p == 1) std::copy(candidate.begin(), candidate.end(), out);
    }
  }
};

absl::Status CheckElements(int exponent_bits, int fraction_bits) {
  constexpr int kLegal[][2] = {{4, 3}, {5, 2}, {2, 3}, {3, 2}, {2, 1}, {1, 2}};
  for (const auto& [e, f] : kLegal) {
    if (e == exponent_bits && f == fraction_bits) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(kName, ": element_exp_bits ", exponent_bits,
                                                 " with element_frac_bits ", fraction_bits,
                                                 ", allowed 4,3 5,2 2,3 3,2 2,1 1,2"));
}

// OCP's: E4M3 spends one code on NaN, E5M2 its top exponent on Inf and NaN.
Grid::Specials SpecialsOf(const MxFpFormat& mx, bool all_finite) {
  if (all_finite) return Grid::Specials::kNone;
  if (mx.element_exp_bits() == 4) return Grid::Specials::kNanOnly;
  return mx.element_exp_bits() == 5 ? Grid::Specials::kIeee : Grid::Specials::kNone;
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MxFpFormat& mx = proto.mxfp();
  const int exponent_bits = mx.element_exp_bits(), fraction_bits = mx.element_frac_bits();
  const int axis = mx.block_dim();
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  if (mx.block_size() != -1 || reference) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "block_size", mx.block_size(), 1, 1 << 30));
  }
  MASE_RETURN_IF_ERROR(CheckElements(exponent_bits, fraction_bits));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "scale_exp_bits", mx.scale_exp_bits(), 8, 8));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const bool all_finite = reference || mx.elements() == MxFpFormat::ALL_FINITE;
  const Grid unit = Grid::Float(exponent_bits, fraction_bits, (1 << (exponent_bits - 1)) - 1,
                                SpecialsOf(mx, all_finite));
  const int largest = std::ilogb(unit.highest);
  const BlockRule rule = {.offset = -largest, .lowest = -127, .highest = 127};
  if (!reference) {
    return std::make_unique<BlockFormat>(
        proto, unit, rule, AxisLayout(kName, axis, mx.block_size()), mx.quantile_search());
  }
  const ReferenceCodec codec(reference::CodecRounding::kNearest, exponent_bits, fraction_bits);
  return MakeReferenceMxFormat(proto, unit, rule, axis, mx.block_size(),
                               ReferenceParams{static_cast<float>(largest)}, ReferenceOp{codec},
                               mx.quantile_search(), ReferenceSearch{codec, unit, largest});
}

}  // namespace

const Family& MxFpFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMxfp,
      .name = kName,
      .class_suffix = "MXFP",
      .summary = "microscaling floats: small float elements, a power-of-two scale a block",
      .example = "mxfp { block_size: 32 element_exp_bits: 4 element_frac_bits: 3 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
      .scheme = OperandScheme::kWeightAndGiven,
      .has_block_dim = true,
  };
  return kFamily;
}

}  // namespace mase
