#include "mase/format/binary_residual.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "binary_residual";
constexpr absl::string_view kOps[] = {ops::kLinear, ops::kConv2d};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"stochastic", FamilyParameter::kOptional, true},
    {"bipolar", FamilyParameter::kOptional, true},
    {"residual_sign", FamilyParameter::kOptional, false, "-"},
    {"levels", FamilyParameter::kOptional},
    {"means", FamilyParameter::kOptional},
};

// REFERENCE binarizes by sign(clamp(r, -1, 1)), 0 for 0; a bit has no 0.
float Binarize(float r, bool reference) {
  if (std::isnan(r)) return r;
  return r > 0 || (r == 0 && !reference) ? 1.0f : r < 0 ? -1.0f : 0.0f;
}

// The gradient of Binarize: that of the clamp.
float BinarizeGradient(float r) { return std::fabs(r) <= 1 ? 1.0f : 0.0f; }

class ResidualFormat final : public Format {
 public:
  ResidualFormat(const FormatProto& proto, absl::Span<const float> means)
      : Format(proto), means_(means.begin(), means.end()) {
    for (float& mean : means_) mean = std::fabs(mean);
  }

  int code_bits() const override { return is_reference() ? 0 : static_cast<int>(means_.size()); }
  double BitsPerValue(const Shape&) const override { return static_cast<double>(means_.size()); }
  double lowest() const override { return Values().front(); }
  double highest() const override { return Values().back(); }
  double step() const override {
    const std::vector<float> values = Values();
    double step = values.back() - values.front();
    for (size_t i = 1; i < values.size(); ++i) {
      step = std::min<double>(step, values[i] - values[i - 1]);
    }
    return step;
  }
  std::vector<float> Values() const override {
    std::vector<float> values;
    for (uint32_t code = 0; code < 1u << means_.size(); ++code) values.push_back(ValueOf(code));
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) dst[i] = Sum(src[i]);
    return absl::OkStatus();
  }

  absl::Status DoGradient(const float* src, const float* diff_dst, float* diff_src,
                          const Shape& shape) const override {
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) {
      float rest = src[i], rest_gradient = 1, gradient = 0;
      for (float mean : means_) {
        const float level_gradient = mean * BinarizeGradient(rest) * rest_gradient;
        gradient += level_gradient;
        rest_gradient -= level_gradient;
        rest -= Binarize(rest, is_reference()) * mean;
      }
      diff_src[i] = diff_dst[i] * gradient;
    }
    return absl::OkStatus();
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override {
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) saturated[i] = std::fabs(src[i]) > highest();
    return absl::OkStatus();
  }

  absl::Status DoClampAwareGradient(const float* src, const float* diff_dst, float* diff_src,
                                    const Shape& shape) const override {
    return DoGradient(src, diff_dst, diff_src, shape);  // It knows its clamps.
  }

  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override {
    if (is_reference()) return Format::DoEncode(src, shape, encoded);
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) {
      if (std::isnan(src[i])) return NoCodeError(i, src[i]);
      uint32_t code = 0;
      float rest = src[i];
      for (size_t level = 0; level < means_.size(); ++level) {
        const float sign = Binarize(rest, false);
        code |= (sign > 0 ? 1u : 0u) << level;
        rest -= sign * means_[level];
      }
      encoded->codes.push_back(code);
    }
    return absl::OkStatus();
  }

  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override {
    if (is_reference()) return Format::DoDecode(encoded, dst);
    for (size_t i = 0; i < encoded.codes.size(); ++i) dst[i] = ValueOf(encoded.codes[i]);
    return absl::OkStatus();
  }

 private:
  float Sum(float x) const {
    float sum = 0, rest = x;
    for (float mean : means_) {
      const float level = Binarize(rest, is_reference()) * mean;
      sum += level;
      rest -= level;
    }
    return sum;
  }

  // Bit l of a code is the sign of level l, 1 for plus.
  float ValueOf(uint32_t code) const {
    float sum = 0;
    for (size_t level = 0; level < means_.size(); ++level) {
      sum += code >> level & 1 ? means_[level] : -means_[level];
    }
    return sum;
  }

  std::vector<float> means_;
};

// The weights under residual signs are plain binary.
void ForOperand(absl::string_view operand, FormatProto* format) {
  if (operand != operands::kWeight || !format->has_binary_residual()) return;
  const BinaryResidualFormat residual = format->binary_residual();
  format->mutable_binary()->set_stochastic(residual.stochastic());
  format->mutable_binary()->set_bipolar(residual.bipolar());
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const BinaryResidualFormat& residual = proto.binary_residual();
  return MakeResidualFormat(kName, proto, residual.levels(), residual.means());
}

}  // namespace

std::vector<float> InitialResidualMeans(int levels) {
  std::vector<float> means;
  const int total = levels * (levels + 1) / 2;
  const float sum = static_cast<float>(total);
  for (int level = levels; level > 0; --level) means.push_back(static_cast<float>(level) / sum);
  return means;
}

void ResidualLevels(absl::Span<const float> means, bool reference, absl::Span<const float> src,
                    absl::Span<float> levels) {
  for (size_t i = 0; i < src.size(); ++i) {
    float rest = src[i];
    for (size_t level = 0; level < means.size(); ++level) {
      const float out = Binarize(rest, reference) * std::fabs(means[level]);
      levels[level * src.size() + i] = out;
      rest -= out;
    }
  }
}

std::vector<float> ResidualMeansGradient(absl::Span<const float> means, bool reference,
                                         absl::Span<const float> src,
                                         absl::Span<const float> diff_dst) {
  std::vector<float> gradients;
  for (size_t k = 0; k < means.size(); ++k) {
    double total = 0;
    for (size_t i = 0; i < src.size(); ++i) {
      double rest_gradient = 0;  // Of r_l by mean k.
      double gradient = 0;
      float rest = src[i];
      for (size_t level = 0; level < means.size(); ++level) {
        const float mean = std::fabs(means[level]);
        const float sign = Binarize(rest, reference);
        double level_gradient = mean * BinarizeGradient(rest) * rest_gradient;
        if (level == k) level_gradient += means[level] < 0 ? -sign : sign;
        gradient += level_gradient;
        rest_gradient -= level_gradient;
        rest -= sign * mean;
      }
      total += diff_dst[i] * gradient;
    }
    gradients.push_back(static_cast<float>(total));
  }
  return gradients;
}

absl::StatusOr<std::unique_ptr<const Format>> MakeResidualFormat(absl::string_view family,
                                                                 const FormatProto& proto,
                                                                 int levels,
                                                                 absl::Span<const float> means) {
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  MASE_RETURN_IF_ERROR(CheckRange(family, "levels", levels, 1, reference ? 3 : kMaxResidualLevels));
  std::vector<float> own(means.begin(), means.end());
  if (own.empty()) own = InitialResidualMeans(levels);
  MASE_RETURN_IF_ERROR(
      CheckRange(family, "number of means", static_cast<double>(own.size()), levels, levels));
  for (const float mean : own) {
    constexpr double kMost = std::numeric_limits<float>::max();
    MASE_RETURN_IF_ERROR(CheckRange(family, "mean", mean, -kMost, kMost));
  }
  MASE_RETURN_IF_ERROR(CheckPolicies(family, proto, {}));
  return std::make_unique<ResidualFormat>(proto, own);
}

const Family& BinaryResidualFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kBinaryResidual,
      .name = kName,
      .class_suffix = "BinaryResidualSign",
      .summary = "residual sign: the sum over levels of sign(rest) * mean",
      .example = "binary_residual { levels: 2 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFewBits,
      .scheme = OperandScheme::kSigns,
      .ops = kOps,
      .for_operand = ForOperand,
      .marks_results = true,
  };
  return kFamily;
}

}  // namespace mase
