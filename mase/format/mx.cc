// Family `mx`: the elements and blocks of Microsoft's MX library.
//
//   element: p = max(floor(log2 |x|), smallest exponent); round(x / 2^p * 2^f) / 2^f * 2^p
//   block:   E = floor(log2 M) - emax;                    element(x / 2^E) * 2^E
//
// EXACT: ties to even, Inf and what overflows saturate, unless `overflow` is TO_INFINITY: then it
// becomes Inf, in fp8_e4m3, which has none, NaN. REFERENCE: ties away from zero by default;
// element-wise floats overflow to Inf; a block with Inf, NaN or a scale above its range is NaN.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/mx_blocks.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "mx";
constexpr FamilyParameter kParameters[] = {
    {"element_format", FamilyParameter::kRequired, true},
    {"block_size", FamilyParameter::kOptional},
    {"block_dim", FamilyParameter::kOptional, false, "axis"},
    {"scale_bits", FamilyParameter::kOptional},
};

struct Element {
  absl::string_view name, alias;
  int exponent_bits, fraction_bits;  // Integers: no exponent, fraction bits behind the point.
  int largest_exponent;
  float largest;
  Grid::Specials specials;
};

constexpr Element kElements[] = {
    {"int8", "", 0, 6, 0, 1.984375f, Grid::Specials::kNone},
    {"int4", "", 0, 2, 0, 1.75f, Grid::Specials::kNone},
    {"int2", "", 0, 0, 0, 1.0f, Grid::Specials::kNone},
    {"fp8_e5m2", "", 5, 2, 15, 57344.0f, Grid::Specials::kIeee},
    {"fp8_e4m3", "", 4, 3, 8, 448.0f, Grid::Specials::kNanOnly},
    {"fp6_e3m2", "", 3, 2, 4, 28.0f, Grid::Specials::kNone},
    {"fp6_e2m3", "", 2, 3, 2, 7.5f, Grid::Specials::kNone},
    {"fp4_e2m1", "fp4", 2, 1, 2, 6.0f, Grid::Specials::kNone},
    {"float16", "fp16", 5, 10, 15, 65504.0f, Grid::Specials::kIeee},
    {"bfloat16", "bf16", 8, 7, 127, 3.3895314e38f, Grid::Specials::kIeee},
};

absl::StatusOr<const Element*> FindElement(const std::string& name) {
  std::vector<std::string> names;
  for (const Element& element : kElements) {
    if (name == element.name || (!name.empty() && name == element.alias)) return &element;
    names.emplace_back(element.name);
  }
  return absl::InvalidArgumentError(absl::StrCat(kName, ": element_format '", name, "'",
                                                 Suggest(name, names), ", allowed ",
                                                 absl::StrJoin(names, ", ")));
}

Grid GridOf(const Element& element) {
  if (element.exponent_bits > 0) {
    return Grid::Float(element.exponent_bits, element.fraction_bits,
                       (1 << (element.exponent_bits - 1)) - 1, element.specials);
  }
  // The lowest two's complement code is not used.
  Grid grid = Grid::TwosComplement(element.fraction_bits + 2, true, -element.fraction_bits);
  grid.lowest = -grid.highest;
  return grid;
}

// The library's element rounding in float32. Params: 2^E of the block, 1 without blocks.
template <bool kFloat>
struct ReferenceElement {
  float up;            // Added before fractions are cut: half, or nothing to round toward zero.
  float even;          // What is taken from a tie that rounds up to an odd number, 1 or 0.
  float scale;         // 2^fraction_bits.
  float min_exponent;  // Floats: of the smallest normal.
  float largest;
  bool saturates, keeps_denormals;

  float Round(float u) const {
    const float a = std::fabs(u);
    // The library's "even": one less where (|u| - 0.5) mod 2 is 0.
    const float half = a - 0.5f;
    const float rounded = std::floor(a + up) - (half == 2 * std::floor(half * 0.5f) ? even : 0.0f);
    return reference::Sign(u) * rounded;
  }

  float operator()(float x, BlockParams params) const {
    const float a0 = x / params.a;
    float a = a0;
    float q;
    if (kFloat) {
      const float magnitude = std::fabs(a0);
      if (!keeps_denormals) a = magnitude < reference::Exp2(min_exponent) ? a0 * 0 : a0;
      const float log = reference::FloorLog2(magnitude == 0 ? 1.0f : magnitude);
      const float power = reference::Exp2(log < min_exponent ? min_exponent : log);
      q = Round(a / power * scale) / scale * power;
    } else {
      q = Round(a * scale) / scale;
    }
    const float overflow = saturates || !kFloat ? largest : std::numeric_limits<float>::infinity();
    q = q > largest ? overflow : q < -largest ? -overflow : q;
    q = std::fabs(a0) == std::numeric_limits<float>::infinity() ? a0 : q;
    return q * params.a;
  }
};

// 2^E; NaN for a block that is NaN.
struct ReferenceParams {
  float largest_exponent, limit;
  bool flushes;

  BlockParams operator()(uint32_t max_bits) const {
    const float m = max_bits == 0 ? 0x1p-126f : FromBits(max_bits);
    float e = reference::BlockLog2(Bits(m), reference::FloorLog2);
    e -= largest_exponent;
    e = e > limit ? std::numeric_limits<float>::quiet_NaN() : e < -limit ? -limit : e;
    return {reference::Exp2(e), 0};
  }
};

template <bool kFloat>
std::unique_ptr<const Format> MakeReference(const FormatProto& proto, const Element& element,
                                            const BlockRule& rule,
                                            const BlockFormat::Layout& layout) {
  const MxFormat& mx = proto.mx();
  const bool blocks = mx.has_block_size();
  const ReferenceElement<kFloat> op{
      proto.rounding() == FormatProto::TOWARD_ZERO ? 0.0f : 0.5f,
      proto.rounding() == FormatProto::NEAREST_EVEN ? 1.0f : 0.0f,
      std::ldexp(1.0f, element.fraction_bits),
      kFloat ? static_cast<float>(2 - (1 << (element.exponent_bits - 1))) : 0.0f,
      element.largest,
      blocks,
      mx.allow_denorm()};
  if (!blocks) {
    const auto single = [op](float x) { return op(x, BlockParams{1, 0}); };
    return MakeReferenceElementFormat(proto, GridOf(element), single);
  }
  // A block whose maximum is subnormal, flushed: its elements count as 0.
  const bool flush = mx.flush_fp32_subnorms();
  const auto flushing = [op](float x, BlockParams params) {
    return op(params.b != 0 ? x * 0 : x, params);
  };
  const ReferenceParams params{static_cast<float>(element.largest_exponent),
                               static_cast<float>(rule.highest), flush};
  const auto params_of = [params, flush](uint32_t max_bits) {
    BlockParams result = params(max_bits);
    // By the rounded logarithm: the 22 subnormals below 2^-126 count as 2^-126, and stay.
    const bool subnormal = max_bits != 0 && reference::FloorLog2(FromBits(max_bits)) < -126;
    if (flush && subnormal) result.b = 1;
    return result;
  };
  return MakeReferenceBlockFormat(proto, GridOf(element), rule, layout, ZeroBlocks::kStay,
                                  params_of, [flushing](const Shape&) { return flushing; });
}

absl::Status CheckMxPolicies(const FormatProto& proto, const Element& element) {
  const MxFormat& mx = proto.mx();
  if (proto.semantics() == FormatProto::REFERENCE) {
    FormatProto others = proto;
    switch (proto.rounding()) {
      case FormatProto::NEAREST_EVEN:
      case FormatProto::NEAREST_AWAY:
      case FormatProto::TOWARD_ZERO:
        others.clear_rounding();
        break;
      default:
        break;
    }
    return CheckPolicies(kName, others, {});
  }
  if (mx.flush_fp32_subnorms() || (!mx.allow_denorm())) {
    return absl::InvalidArgumentError(absl::StrCat(
        kName, ": flush_fp32_subnorms and allow_denorm: false need semantics REFERENCE"));
  }
  const bool overflows = !mx.has_block_size() && element.specials != Grid::Specials::kNone;
  return CheckPolicies(kName, proto,
                       {.rounding = true, .stochastic = true, .to_infinity = overflows});
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MxFormat& mx = proto.mx();
  MASE_ASSIGN_OR_RETURN(const Element* element, FindElement(mx.element_format()));
  MASE_RETURN_IF_ERROR(CheckMxPolicies(proto, *element));
  const std::string& method = mx.shared_exp_method();
  if (method != "max" && method != "none") {
    return absl::InvalidArgumentError(
        absl::StrCat(kName, ": shared_exp_method '", method, "', allowed max, none"));
  }
  const int scale_bits = mx.scale_bits();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "scale_bits", scale_bits, 1, 8));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "block_size", mx.block_size(), 0, 1 << 30));
  const Grid unit = GridOf(*element);
  const bool exact = proto.semantics() == FormatProto::EXACT;
  if (exact && !mx.has_block_size()) {
    return std::make_unique<GridFormat>(proto, unit, Policy::Of(proto));
  }
  const int limit = (1 << (scale_bits - 1)) - 1;
  const BlockRule rule = {.offset = -element->largest_exponent,
                          .lowest = -limit,
                          .highest = limit,
                          .code_bits = scale_bits};
  // "none": every element is a block.
  const int size = method == "none" ? 1 : mx.block_size() == 0 ? -1 : mx.block_size();
  const auto layout = AxisLayout(kName, mx.axis(), size);
  if (exact) return std::make_unique<BlockFormat>(proto, unit, rule, layout);
  return element->exponent_bits > 0 ? MakeReference<true>(proto, *element, rule, layout)
                                    : MakeReference<false>(proto, *element, rule, layout);
}

}  // namespace

const Family& MxFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMx,
      .name = kName,
      .class_suffix = "MX",
      .summary = "the MX library's elements (int8 to bfloat16), alone or in blocks",
      .example = "mx { element_format: \"fp8_e4m3\" block_size: 32 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kBlocks,
  };
  return kFamily;
}

}  // namespace mase
