// Family `block_fp` (MSFP): an exponent a block; a sign and a fraction an element.
//
//   mb = width - 1;  q = +-k / 2^mb * 2^E,  0 <= k <= 2^mb - 1
//
// EXACT: E is the smallest exponent at which the block's maximum does not saturate.
// REFERENCE: E = ceil(log2 M), at which a maximum that is a power of two saturates.
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/reference_block_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "block_fp";
constexpr absl::string_view kAliases[] = {"msfp"};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"exponent_width", FamilyParameter::kOptional, true},
    {"exponent_bias", FamilyParameter::kOptional, true},
    {"block_size", FamilyParameter::kOptional, true},
    {"skip_first_dim", FamilyParameter::kOptional},
};

// 2^E.
struct ReferenceParams {
  float lowest, highest;

  BlockParams operator()(uint32_t max_bits) const {
    const float e = reference::BlockLog2(max_bits, reference::CeilLog2);
    return {reference::Exp2(Clamp(e, lowest, highest)), 0};
  }
};

struct ReferenceOp {
  float mantissa_scale;
  float zero;  // Of ZeroTerm.

  float operator()(float x, BlockParams params) const {
    const float k = Clamp(std::rint((std::fabs(x) + 1e-9f) / params.a * mantissa_scale), 0.0f,
                          mantissa_scale - 1);
    const float q = reference::Sign(x + 1e-9f) * params.a * (k / mantissa_scale);
    return reference::BlendTiny(x, q + zero);
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const BlockFpFormat& block = proto.block_fp();
  const int width = block.width();
  const int exponent_width = block.exponent_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, 2, 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  const int bias = block.exponent_bias();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias", bias, -127, 255));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const bool skip = block.skip_first_dim();
  MASE_ASSIGN_OR_RETURN(auto layout, MaseLayout(kName, proto, block.block_size(), skip));
  const int mantissa_bits = width - 1;
  const Grid unit = Grid::SignMagnitude(width, -mantissa_bits);
  const BlockRule rule = {.carry = BlockRule::CarryAt(mantissa_bits),
                          .offset = 1,
                          .lowest = -bias,
                          .highest = (1 << exponent_width) - 1 - bias,
                          .code_bits = exponent_width};
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<BlockFormat>(proto, unit, rule, layout);
  }
  return MakeReferenceBlockFormat(
      proto, unit, rule, layout, ZeroBlocks::kBorrow,
      ReferenceParams{static_cast<float>(rule.lowest), static_cast<float>(rule.highest)},
      [=](const Shape& shape) {
        return ReferenceOp{std::ldexp(1.0f, mantissa_bits), ZeroTerm(shape, skip)};
      });
}

}  // namespace

const Family& BlockFpFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kBlockFp,
      .name = kName,
      .class_suffix = "BlockFP",
      .summary = "block floating point (MSFP): a shared exponent, sign and magnitude elements",
      .example = "block_fp { width: 8 block_size: 16 }",
      .aliases = kAliases,
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
      .has_blocks_of_axes = true,
  };
  return kFamily;
}

}  // namespace mase
