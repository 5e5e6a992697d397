// Family `mxint_hardware`: tiles of the last two axes share an exponent.
//
//   q = k * 2^E,  -2^(width - 1) <= k <= 2^(width - 1) - 1,  -bias <= E <= 2^exponent_width - 1 -
//   bias bias = 2^(exponent_width - 1)
//
// EXACT: E is the smallest at which the tile's largest magnitude does not saturate, nearest.
// REFERENCE: E = ceil(log2 M) - bias, which fits only width = bias + 1 (the default 12, 6 leaves
// nothing of a tensor), and floor; the tensor must be a multiple of the tile; no gradient.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/reference_block_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "mxint_hardware";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"exponent_width", FamilyParameter::kOptional, true},
    {"parallelism", FamilyParameter::kRequired},
};

// 2^E.
struct ReferenceParams {
  float bias, highest;

  BlockParams operator()(uint32_t max_bits) const {
    const float e = reference::BlockLog2(max_bits, reference::CeilLog2);
    return {reference::Exp2(Clamp(e - bias, -bias, highest)), 0};
  }
};

struct ReferenceOp {
  float codes;  // 2^(width - 1).

  float operator()(float x, BlockParams params) const {
    return params.a * Clamp(std::floor(x / params.a), -codes, codes - 1);
  }
};

BlockFormat::Layout TileLayout(int64_t rows, int64_t columns, bool reference) {
  return [=](const Shape& shape) -> absl::StatusOr<BlockLayout> {
    const int rank = shape.rank();
    const int64_t height = rank < 2 ? 1 : shape[-2];
    const int64_t width = rank < 1 ? 1 : shape[-1];
    if (reference && (rank == 0 || height % rows != 0 || width % columns != 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat(kName, " with REFERENCE semantics: tiles of [", rows, ", ", columns,
                       "] do not divide a tensor of shape ", shape.ToString()));
    }
    BlockLayout::Extents block(rank, 1);
    if (rank >= 1) block[rank - 1] = columns;
    if (rank >= 2) block[rank - 2] = rows;
    return BlockLayout(shape, block);
  };
}

// The REFERENCE has no gradient: nothing passes its floor.
template <typename Base>
class WithoutGradient final : public Base {
 public:
  using Base::Base;

  // Tiles need a rank of 1; whether they divide a tensor is for its extents to say.
  absl::Status CheckRank(const Shape& shape) const override {
    return shape.rank() > 0 ? absl::OkStatus() : Base::CheckRank(shape);
  }

 protected:
  absl::Status DoGradient(const float*, const float*, float* diff_src,
                          const Shape& shape) const override {
    std::fill_n(diff_src, shape.elements(), 0.0f);
    return absl::OkStatus();
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MxIntHardwareFormat& mx = proto.mxint_hardware();
  const int width = mx.width();
  const int exponent_width = mx.exponent_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, 2, 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  MASE_RETURN_IF_ERROR(
      CheckRange(kName, "number of entries of parallelism", mx.parallelism_size(), 1, 2));
  for (int32_t tile : mx.parallelism()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "parallelism", tile, 1, 1 << 30));
  }
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  const int bias = 1 << (exponent_width - 1);
  const auto layout = TileLayout(mx.parallelism_size() == 2 ? mx.parallelism(0) : 1,
                                 mx.parallelism(mx.parallelism_size() - 1), reference);
  const Grid unit = Grid::TwosComplement(width, true, 0);
  const BlockRule rule = {.carry = BlockRule::CarryAt(width - 1),
                          .offset = 2 - width,
                          .lowest = -bias,
                          .highest = (1 << exponent_width) - 1 - bias,
                          .code_bits = exponent_width};
  if (!reference) return std::make_unique<BlockFormat>(proto, unit, rule, layout);
  const ReferenceParams params{static_cast<float>(bias), static_cast<float>(rule.highest)};
  const auto op_for = [codes = std::ldexp(1.0f, width - 1)](const Shape&) {
    return ReferenceOp{codes};
  };
  using Reference = ReferenceBlockFormat<ReferenceParams, decltype(op_for)>;
  return std::make_unique<WithoutGradient<Reference>>(proto, unit, rule, layout, ZeroBlocks::kStay,
                                                      params, op_for);
}

}  // namespace

const Family& MxIntHardwareFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMxintHardware,
      .name = kName,
      .class_suffix = "MXIntHardware",
      .summary = "integers with an exponent shared by a tile of the last two axes",
      .example = "mxint_hardware { width: 8 exponent_width: 6 parallelism: 4 parallelism: 4 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
  };
  return kFamily;
}

}  // namespace mase
