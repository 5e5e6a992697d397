// Family `affine`: given scales and zero points, as calibration finds them.
//
//   code = clamp(round(x / scale) + zero_point, lo, hi);  q = (code - zero_point) * scale
//
// for the whole tensor, or one pair for every block (a channel, a group of inputs of a channel).
// Ties go to the even number of steps, before the zero point is added: with an odd one to the odd
// code. MASE has no such format, so there is no REFERENCE.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/isa.h"
#include "mase/base/nearest_steps.h"
#include "mase/base/status_macros.h"
#include "mase/format/block_layout.h"
#include "mase/format/family.h"
#include "mase/format/grid_ops.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "affine";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"is_signed", FamilyParameter::kOptional},
    {"scale", FamilyParameter::kRequired},
};

// One scale and zero point, in double: code * scale then rounds once.
struct Group {
  double scale, zero_point, lo, hi;
  NearestSteps steps{scale};

  double Code(double x) const {
    const double code = steps(x) + zero_point;
    return code < lo ? lo : code > hi ? hi : code;
  }
  float Value(double code) const { return static_cast<float>((code - zero_point) * scale) + 0.0f; }
  bool InRange(double x) const {
    const double code = steps(x) + zero_point;
    return !(code < lo || code > hi);
  }
};

// The same in float32, whose product x / scale is off by 2^-23 of itself: enough unless the
// quotient is that near to a tie.
struct FastGroup {
  explicit FastGroup(const Group& group)
      : scale(static_cast<float>(group.scale)),
        inverse(static_cast<float>(1 / group.scale)),
        lo(static_cast<float>(group.lo - group.zero_point)),
        hi(static_cast<float>(group.hi - group.zero_point)),
        serves(lo >= -0x1p20f && hi <= 0x1p20f && scale > 0x1p-100f && scale < 0x1p100f) {}

  // Returns whether the value may be wrong; no branch, to vectorize.
  template <typename Whole>
  bool Quantize(float x, float* value) const {
    const float quotient = x * inverse, steps = Whole::Rint(quotient);
    *value = Clamp(steps, lo, hi) * scale + 0.0f;
    const float size = std::fabs(quotient);
    return (std::fabs(quotient - steps) >= 0.5f - size * 0x1p-22f) & (size < 0x1p21f);
  }

  float scale, inverse, lo, hi;  // The ends in steps.
  bool serves;
};

// dst[i] = the value for src[i]; `src` may be `dst`.
template <typename Whole>
void QuantizeRun(const Group& group, const float* src, float* dst, int64_t count) {
  Whole::Run([=, &group] {
    constexpr int64_t kBlock = 256;
    const Group exact = group;
    const FastGroup fast(exact);
    float block[kBlock];  // In place `x` is kept until its values are sure.
    for (int64_t begin = 0; begin < count; begin += kBlock) {
      const int64_t size = std::min(kBlock, count - begin);
      const float* const x = src + begin;
      float* const y = src == dst ? block : dst + begin;
      int unsure = !fast.serves;
      for (int64_t i = 0; i < size; ++i) unsure |= fast.Quantize<Whole>(x[i], &y[i]);
      if (unsure != 0) {
        for (int64_t i = 0; i < size; ++i) y[i] = exact.Value(exact.Code(x[i]));
      }
      if (y == block) std::copy_n(block, size, dst + begin);
    }
  });
}

class AffineQuantizer final : public Format {
 public:
  AffineQuantizer(const FormatProto& proto, double lo, double hi) : Format(proto) {
    const AffineFormat& affine = proto.affine();
    for (int i = 0; i < affine.scale_size(); ++i) {
      const int zero_point = affine.zero_point().empty() ? 0 : affine.zero_point(i);
      groups_.push_back({affine.scale(i), static_cast<double>(zero_point), lo, hi});
    }
  }

  int code_bits() const override { return proto().affine().width(); }
  // Scales and zero points belong to the format: they are calibrated, not computed.
  double BitsPerValue(const Shape&) const override { return code_bits(); }
  double lowest() const override {
    double lowest = 0;
    for (const Group& g : groups_) lowest = std::min(lowest, (g.lo - g.zero_point) * g.scale);
    return lowest;
  }
  double highest() const override {
    double highest = 0;
    for (const Group& g : groups_) highest = std::max(highest, (g.hi - g.zero_point) * g.scale);
    return highest;
  }
  double step() const override {
    double step = groups_[0].scale;
    for (const Group& g : groups_) step = std::min(step, g.scale);
    return step;
  }
  std::vector<float> Values() const override {
    std::vector<float> values;
    if (groups_.size() > 1 || code_bits() > 16) return values;
    for (double code = groups_[0].lo; code <= groups_[0].hi; ++code) {
      values.push_back(groups_[0].Value(code));
    }
    return values;
  }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    return ForEachRun(shape, [&](const Group& group, int64_t offset, int64_t count) {
      WithWhole([&](auto whole) {
        QuantizeRun<decltype(whole)>(group, src + offset, dst + offset, count);
      });
    });
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override {
    return ForEachRun(shape, [&](const Group& group, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) saturated[i] = !group.InRange(src[i]);
    });
  }

  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override {
    encoded->codes.resize(shape.elements());
    const uint32_t mask = (1u << code_bits()) - 1;
    absl::Status status;
    status.Update(ForEachRun(shape, [&](const Group& group, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        const double code = group.Code(src[i]);
        if (std::isnan(code)) {
          status.Update(NoCodeError(i, src[i]));
        } else {
          encoded->codes[i] = static_cast<uint32_t>(static_cast<int>(code)) & mask;
        }
      }
    }));
    return status;
  }

  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override {
    const int bits = code_bits();
    return ForEachRun(encoded.shape, [&](const Group& group, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        int code = static_cast<int>(encoded.codes[i] & ((1u << bits) - 1));
        if (code > group.hi) code -= 1 << bits;
        dst[i] = group.Value(code);
      }
    });
  }

 private:
  // Calls fn(group, offset, count) for all elements, in runs.
  template <typename Fn>
  absl::Status ForEachRun(const Shape& shape, const Fn& fn) const {
    if (groups_.size() == 1) {
      fn(groups_[0], 0, shape.elements());
      return absl::OkStatus();
    }
    const auto& block_size = proto().affine().block_size();
    const BlockLayout layout = BlockLayout::Mase(shape, block_size, /*skip_first_dim=*/false,
                                                 /*whole_leading_axes=*/false);
    if (layout.blocks() != static_cast<int64_t>(groups_.size())) {
      return absl::InvalidArgumentError(absl::StrCat(
          kName, ": ", groups_.size(), " scales for a tensor of shape ", shape.ToString(), " with ",
          layout.blocks(), " blocks of [", absl::StrJoin(block_size, ", "), "]"));
    }
    layout.ForEachRun(
        [&](int64_t block, int64_t offset, int64_t count) { fn(groups_[block], offset, count); });
    return absl::OkStatus();
  }

  std::vector<Group> groups_;
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const AffineFormat& affine = proto.affine();
  const bool is_signed = affine.is_signed();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", affine.width(), 1, 24));
  const double lo = is_signed ? -std::ldexp(1.0, affine.width() - 1) : 0;
  const double hi = lo + std::ldexp(1.0, affine.width()) - 1;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "number of scales", affine.scale_size(), 1, 1 << 28));
  for (float scale : affine.scale()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "scale", scale, std::numeric_limits<float>::min(),
                                    std::numeric_limits<float>::max()));
  }
  if (!affine.zero_point().empty()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "number of zero points", affine.zero_point_size(),
                                    affine.scale_size(), affine.scale_size()));
  }
  for (int32_t zero_point : affine.zero_point()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "zero_point", zero_point, lo, hi));
  }
  for (int32_t extent : affine.block_size()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "block_size", extent == -1 ? 1 : extent, 1, 1 << 28));
  }
  if (affine.scale_size() > 1 && affine.block_size().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kName, ": ", affine.scale_size(), " scales need a block_size"));
  }
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  return std::make_unique<AffineQuantizer>(proto, lo, hi);
}

}  // namespace

const Family& AffineFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kAffine,
      .name = kName,
      .class_suffix = "Affine",
      .summary = "scale * (code - zero_point), per tensor, channel or block",
      .example = "affine { width: 8 scale: 0.05 zero_point: 3 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .has_reference = false,
  };
  return kFamily;
}

}  // namespace mase
