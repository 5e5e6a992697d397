// Formats whose values are small integers times a float32 scale: one scale for the tensor
// (lsq, flexround), or one for each row or slice, found from its values (scale_integer, binary,
// ternary).
//
//   value = code * scale, rounded once to float32
#ifndef MASE_FORMAT_SCALED_FORMAT_H_
#define MASE_FORMAT_SCALED_FORMAT_H_

#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/status_macros.h"
#include "mase/format/block_layout.h"
#include "mase/format/grid.h"

namespace mase {

// What a family derives its traits from. `Code` is what it must add:
//
//   double Code(double x, double scale, double uniform) const;   // An integer; NaN for NaN.
//
// `scale` may be 0 if Scale can return it. All of these are inlined into vector loops.
struct ScaledTraits {
  int bits = 0;              // Of a code.
  double lo = 0, hi = 0;     // The codes' range.
  bool has_codes = true;     // False: values without bounds.
  bool stores_scale = true;  // A float32 a block; else the scale is part of the format.
  bool random = false;       // Code uses `uniform`.
  // The straight-through gradient is this times diff_dst; `clamped`: and 0 out of range.
  float gradient_factor = 1;
  bool clamped = false;

  // By default one block: the tensor.
  BlockLayout Layout(const Shape& shape) const {
    return BlockLayout::AlongAxis({shape.elements()}, 0, -1);
  }
  // The scale for the values of a block.
  static constexpr bool kScaleFromValues = false;
  float Scale(const std::vector<float>&) const { return 1; }
  // Whether the gradient passes where it is clamped.
  bool InRange(double x, double scale) const {
    const double code = std::nearbyint(x / scale);
    return !(code < lo || code > hi);
  }
  uint32_t Pattern(int code) const { return static_cast<uint32_t>(code) & ((1u << bits) - 1); }
  int CodeOf(uint32_t pattern) const {
    const int code = static_cast<int>(pattern);
    return lo < 0 && code >> (bits - 1) != 0 ? code - (1 << bits) : code;
  }
};

template <typename Traits>
class ScaledFormat : public Format {
 public:
  ScaledFormat(const FormatProto& proto, Traits traits)
      : Format(proto), traits_(std::move(traits)), unit_scale_(ScaleOf({1.0f})) {}

  int code_bits() const override { return is_reference() || !traits_.has_codes ? 0 : traits_.bits; }
  double BitsPerValue(const Shape& shape) const override {
    if (!traits_.has_codes) return 32;
    if (!traits_.stores_scale || shape.elements() == 0) return traits_.bits;
    return traits_.bits + 32.0 * static_cast<double>(traits_.Layout(shape).blocks()) /
                              static_cast<double>(shape.elements());
  }
  double lowest() const override {
    return traits_.has_codes ? traits_.lo * unit_scale_ : std::numeric_limits<float>::lowest();
  }
  double highest() const override {
    return traits_.has_codes ? traits_.hi * unit_scale_ : std::numeric_limits<float>::max();
  }
  double step() const override { return unit_scale_; }
  std::vector<float> Values() const override {
    std::vector<float> values;
    if (!traits_.has_codes || traits_.bits > 16) return values;
    for (uint32_t pattern = 0; pattern < 1u << traits_.bits; ++pattern) {
      const int code = traits_.CodeOf(pattern);
      if (code < traits_.lo || code > traits_.hi) continue;
      values.push_back(static_cast<float>(code * double{unit_scale_}));
    }
    std::sort(values.begin(), values.end());
    return values;
  }

 protected:
  const Traits& traits() const { return traits_; }

  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t seed) const override {
    const BlockLayout layout = traits_.Layout(shape);
    const std::vector<float> scales = Scales(layout, src);
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      QuantizeRun(src + offset, dst + offset, count, scales[block], seed, offset);
    });
    return absl::OkStatus();
  }

  absl::Status DoGradient(const float* src, const float* diff_dst, float* diff_src,
                          const Shape& shape) const override {
    const int64_t elements = shape.elements();
    if (!traits_.clamped) {
      for (int64_t i = 0; i < elements; ++i) diff_src[i] = diff_dst[i] * traits_.gradient_factor;
      return absl::OkStatus();
    }
    const BlockLayout layout = traits_.Layout(shape);
    const std::vector<float> scales = Scales(layout, src);
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        const bool passes = traits_.InRange(src[i], scales[block]);
        diff_src[i] = passes ? diff_dst[i] * traits_.gradient_factor : 0.0f;
      }
    });
    return absl::OkStatus();
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override {
    const BlockLayout layout = traits_.Layout(shape);
    const std::vector<float> scales = Scales(layout, src);
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        saturated[i] = !traits_.InRange(src[i], scales[block]);
      }
    });
    return absl::OkStatus();
  }

  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override {
    if (code_bits() == 0 || traits_.random) return Format::DoEncode(src, shape, encoded);
    const BlockLayout layout = traits_.Layout(shape);
    const std::vector<float> scales = Scales(layout, src);
    if (traits_.stores_scale) {
      for (float scale : scales) encoded->block_codes.push_back(std::bit_cast<uint32_t>(scale));
    }
    encoded->codes.resize(shape.elements());
    absl::Status status;
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        const double code = traits_.Code(src[i], scales[block], 0);
        if (std::isnan(code)) {
          status.Update(NoCodeError(i, src[i]));
        } else {
          encoded->codes[i] = traits_.Pattern(static_cast<int>(code));
        }
      }
    });
    return status;
  }

  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override {
    if (code_bits() == 0) return Format::DoDecode(encoded, dst);
    const BlockLayout layout = traits_.Layout(encoded.shape);
    const int64_t scales = traits_.stores_scale ? layout.blocks() : 0;
    if (static_cast<int64_t>(encoded.block_codes.size()) != scales) {
      return absl::InvalidArgumentError(
          absl::StrCat(family(), ": ", encoded.block_codes.size(), " block codes, want ", scales));
    }
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      const double scale =
          scales > 0 ? std::bit_cast<float>(encoded.block_codes[block]) : unit_scale_;
      for (int64_t i = offset; i < offset + count; ++i) {
        const int code = traits_.CodeOf(encoded.codes[i]);
        dst[i] = static_cast<float>(code * scale) + 0.0f;
      }
    });
    return absl::OkStatus();
  }

 private:
  float ScaleOf(const std::vector<float>& values) const { return traits_.Scale(values); }

  std::vector<float> Scales(const BlockLayout& layout, const float* src) const {
    std::vector<float> scales;
    if constexpr (!Traits::kScaleFromValues) {
      scales.assign(layout.blocks(), unit_scale_);
      return scales;
    }
    std::vector<float> values;
    int64_t current = 0;
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      if (block != current) {
        scales.push_back(ScaleOf(values));
        values.clear();
        current = block;
      }
      values.insert(values.end(), src + offset, src + offset + count);
    });
    scales.push_back(ScaleOf(values));
    return scales;
  }

  void QuantizeRun(const float* src, float* dst, int64_t count, double scale, uint64_t seed,
                   int64_t first_index) const {
    if (traits_.random) {
      for (int64_t i = 0; i < count; ++i) {
        const double code = traits_.Code(src[i], scale, UniformAt(seed, first_index + i));
        dst[i] = static_cast<float>(code * scale) + 0.0f;
      }
      return;
    }
    ForBestIsa([=, this] {
      const Traits traits = traits_;
      for (int64_t i = 0; i < count; ++i) {
        dst[i] = static_cast<float>(traits.Code(src[i], scale, 0) * scale) + 0.0f;
      }
    });
  }

  const Traits traits_;
  const float unit_scale_;  // For a block whose one value is 1, or the format's own.
};

// Traits with a REFERENCE: `Reference` is a functor void(src, dst, shape), MASE's arithmetic.
template <typename Traits, typename Reference>
class ReferenceScaledFormat final : public ScaledFormat<Traits> {
 public:
  ReferenceScaledFormat(const FormatProto& proto, Traits traits, Reference reference)
      : ScaledFormat<Traits>(proto, std::move(traits)), reference_(std::move(reference)) {}

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t seed) const override {
    return reference_(src, dst, shape, seed);
  }

 private:
  const Reference reference_;
};

// EXACT by `traits`, REFERENCE by `reference`: Status(src, dst, shape, seed).
template <typename Traits, typename Reference>
std::unique_ptr<const Format> MakeScaledFormat(const FormatProto& proto, const Traits& traits,
                                               const Reference& reference) {
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<ScaledFormat<Traits>>(proto, traits);
  }
  return std::make_unique<ReferenceScaledFormat<Traits, Reference>>(proto, traits, reference);
}

// The smaller of |x| and the largest float32: how EXACT scales count an Inf.
inline float FiniteMagnitude(float x) {
  return std::min(std::fabs(x), std::numeric_limits<float>::max());
}

// Blocks are the indexes of the first axis; a vector or a scalar is one block.
inline BlockLayout SliceLayout(const Shape& shape) {
  if (shape.rank() < 2) return BlockLayout::AlongAxis({shape.elements()}, 0, -1);
  BlockLayout::Extents block(shape.rank(), -1);
  block[0] = 1;
  return BlockLayout(shape, block);
}

// InvalidArgument unless rank is 4: MASE's binary (unipolar) and ternary take no other.
inline absl::Status CheckRankFour(absl::string_view family, const Shape& shape) {
  if (shape.rank() == 4) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(family,
                                                 " with REFERENCE semantics: a tensor of shape ",
                                                 shape.ToString(), "; MASE takes rank 4 alone"));
}

}  // namespace mase

#endif  // MASE_FORMAT_SCALED_FORMAT_H_
