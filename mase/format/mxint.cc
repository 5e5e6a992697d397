// Family `mxint`: two's complement elements, a power-of-two scale for a run along one axis.
//
//   n = 2^(element_bits - 1);  q = k / n * 2^e,  -n <= k <= n - 1
//
// EXACT: e is the smallest exponent at which the block's largest magnitude does not saturate, and
// a row starts a block of its own. REFERENCE: e = ceil(log2 M), at which a positive power of two
// saturates; blocks straddle rows that the size does not divide.
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/mx_blocks.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "mxint";
constexpr FamilyParameter kParameters[] = {
    {"block_size", FamilyParameter::kRequired, true},
    {"width", FamilyParameter::kRequired, true, "element_bits"},
    {"block_dim", FamilyParameter::kOptional},
    {"scale_bits", FamilyParameter::kOptional},
    {"quantile_search", FamilyParameter::kOptional},
};

// 2^e, and 2^e with e as the scale code holds it.
struct ReferenceParams {
  float largest_code, bias;

  BlockParams operator()(uint32_t max_bits) const {
    max_bits = std::max(max_bits, Bits(std::numeric_limits<float>::min()));
    const float e = reference::BlockLog2(max_bits, reference::CeilLog2);
    return {reference::Exp2(e), reference::Exp2(Clamp(e + bias, 0, largest_code) - bias)};
  }
};

struct ReferenceOp {
  float codes;  // n.

  float operator()(float x, BlockParams params) const {
    return Clamp(std::rint(x / params.a * codes), -codes, codes - 1) / codes * params.b;
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MxIntFormat& mx = proto.mxint();
  const int bits = mx.element_bits();
  const int scale_bits = mx.scale_bits();
  const int axis = mx.block_dim();
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  if (mx.block_size() != -1 || reference) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "block_size", mx.block_size(), 1, 1 << 30));
  }
  // MASE computes with one bit, too: -1 and 0.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "element_bits", bits, reference ? 1 : 2, 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "scale_bits", scale_bits, 2, 8));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const int bias = (1 << (scale_bits - 1)) - 1;
  const Grid unit = Grid::TwosComplement(bits, true, 1 - bits);
  const BlockRule rule = {.carry = BlockRule::CarryAt(bits - 1),
                          .offset = 1,
                          .lowest = -bias,
                          .highest = (1 << scale_bits) - 1 - bias,
                          .code_bits = scale_bits};
  if (!reference) {
    return std::make_unique<BlockFormat>(
        proto, unit, rule, AxisLayout(kName, axis, mx.block_size()), mx.quantile_search());
  }
  const ReferenceParams params{static_cast<float>((1 << scale_bits) - 1), static_cast<float>(bias)};
  const ReferenceOp op{std::ldexp(1.0f, bits - 1)};
  const auto search = [params, op](const float* block, const float* original, int size,
                                   float* out) {
    double best = 0;
    std::vector<float> candidate(size);
    for (double p : kSearchQuantiles) {
      const BlockParams scales = params(Bits(ReferenceQuantile(block, size, p)));
      double error = 0;
      for (int i = 0; i < size; ++i) {
        candidate[i] = op(block[i], scales);
        const float difference = candidate[i] - original[i];
        error += difference * difference;
      }
      if (p == 1 || std::sqrt(error) < best) {
        best = std::sqrt(error);
        std::copy(candidate.begin(), candidate.end(), out);
      }
    }
  };
  return MakeReferenceMxFormat(proto, unit, rule, axis, mx.block_size(), params, op,
                               mx.quantile_search(), search);
}

}  // namespace

const Family& MxIntFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMxint,
      .name = kName,
      .class_suffix = "MXInt",
      .summary = "microscaling integers: two's complement elements, a power-of-two scale a block",
      .example = "mxint { block_size: 32 element_bits: 8 }",
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
