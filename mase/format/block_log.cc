// Family `block_log`: log elements whose exponent bias a block shares.
//
//   bias = clamp(2^(width - 1) - 1 - E, 0, 2^exponent_bias_width - 1)
//
// so that the largest power is 2^E. EXACT: E is log2 M rounded to nearest, as an element is;
// REFERENCE: ceil(log2 M), and no zero, as in log.
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/reference_block_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "block_log";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"exponent_bias_width", FamilyParameter::kRequired, true},
    {"block_size", FamilyParameter::kOptional, true},
    {"skip_first_dim", FamilyParameter::kOptional},
};

// Smallest and largest exponent.
struct ReferenceParams {
  float exponents, largest_bias;

  BlockParams operator()(uint32_t max_bits) const {
    const float e = reference::BlockLog2(max_bits, reference::CeilLog2);
    const float bias = Clamp(exponents - e, 0.0f, largest_bias);
    return {-bias, exponents - bias};
  }
};

struct ReferenceOp {
  float operator()(float x, BlockParams params) const {
    return reference::LogAt(x, reference::Exp2(params.a) * 0.1f, params.a, params.b);
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const BlockLogFormat& block = proto.block_log();
  const int bias_width = block.exponent_bias_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", block.width(), 2, 9));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias_width", bias_width, 1, 10));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  MASE_ASSIGN_OR_RETURN(auto layout,
                        MaseLayout(kName, proto, block.block_size(), block.skip_first_dim()));
  const int exponents = (1 << (block.width() - 1)) - 1;
  const int largest_bias = (1 << bias_width) - 1;
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  const bool has_zero = !reference && block.has_zero();
  const Grid unit = Grid::Power(block.width(), 0, has_zero);
  const BlockRule rule = {.carry = kSqrt2Carry,
                          .offset = -exponents,
                          .lowest = -largest_bias,
                          .highest = 0,
                          .code_is_bias = true,
                          .code_bits = bias_width};
  if (!reference) return std::make_unique<BlockFormat>(proto, unit, rule, layout);
  return MakeReferenceBlockFormat(
      proto, unit, rule, layout, ZeroBlocks::kBorrow,
      ReferenceParams{static_cast<float>(exponents), static_cast<float>(largest_bias)},
      [](const Shape&) { return ReferenceOp(); });
}

}  // namespace

const Family& BlockLogFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kBlockLog,
      .name = kName,
      .class_suffix = "BlockLog",
      .summary = "log elements with a shared exponent bias",
      .example = "block_log { width: 8 exponent_bias_width: 8 block_size: 16 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
      .has_blocks_of_axes = true,
  };
  return kFamily;
}

}  // namespace mase
