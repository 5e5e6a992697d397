// Family `block_minifloat`: minifloat_ieee elements whose exponent bias a block shares.
//
// EXACT: bias = 2^exponent_width - 1 - floor(log2 M), so that the block's maximum lies in the top
// binade. REFERENCE: bias = floor(log2 M), MASE's defect: tensors below 1 live among the
// subnormals, large ones waste the top codes. Both clamp it to 0 .. 2^exponent_bias_width - 1.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/reference_block_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "block_minifloat";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"exponent_width", FamilyParameter::kRequired, true},
    {"exponent_bias_width", FamilyParameter::kRequired, true},
    {"block_size", FamilyParameter::kOptional, true},
    {"skip_first_dim", FamilyParameter::kOptional},
};

// Smallest and largest exponent.
struct ReferenceParams {
  float exponents, largest_bias;

  BlockParams operator()(uint32_t max_bits) const {
    const float e = reference::BlockLog2(max_bits, reference::FloorLog2);
    const float bias = Clamp(e, 0.0f, largest_bias);
    return {-bias, exponents - bias};
  }
};

struct ReferenceOp {
  reference::MinifloatIeee op;
  float zero;  // Of ZeroTerm.

  float operator()(float x, BlockParams params) const { return op(x, params) + zero; }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const BlockMinifloatFormat& block = proto.block_minifloat();
  const int exponent_width = block.exponent_width();
  const int bias_width = block.exponent_bias_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  MASE_RETURN_IF_ERROR(
      CheckRange(kName, "width", block.width(), exponent_width + 2, exponent_width + 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias_width", bias_width, 1, 10));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const bool skip = block.skip_first_dim();
  MASE_ASSIGN_OR_RETURN(auto layout, MaseLayout(kName, proto, block.block_size(), skip));
  const int mantissa_bits = block.width() - exponent_width - 1;
  const int exponents = (1 << exponent_width) - 1;
  const int largest_bias = (1 << bias_width) - 1;
  const Grid unit = Grid::Float(exponent_width, mantissa_bits, 0);
  const BlockRule rule = {.offset = -exponents,
                          .lowest = -largest_bias,
                          .highest = 0,
                          .code_is_bias = true,
                          .code_bits = bias_width};
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<BlockFormat>(proto, unit, rule, layout);
  }
  return MakeReferenceBlockFormat(
      proto, unit, rule, layout, ZeroBlocks::kBorrow,
      ReferenceParams{static_cast<float>(exponents), static_cast<float>(largest_bias)},
      [=](const Shape& shape) {
        return ReferenceOp{{std::ldexp(1.0f, mantissa_bits)}, ZeroTerm(shape, skip)};
      });
}

}  // namespace

const Family& BlockMinifloatFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kBlockMinifloat,
      .name = kName,
      .class_suffix = "BlockMinifloat",
      .summary = "minifloat_ieee elements with a shared exponent bias",
      .example =
          "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 16 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
      .has_blocks_of_axes = true,
  };
  return kFamily;
}

}  // namespace mase
