#include "mase/format/lutnet.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/binary_residual.h"
#include "mase/format/family.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "lutnet";
constexpr absl::string_view kOps[] = {ops::kLinear, ops::kConv2d};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"frac_width", FamilyParameter::kOptional, true},
    {"binarization_level", FamilyParameter::kOptional, true},
    {"input_expanded", FamilyParameter::kOptional, true},
    {"k", FamilyParameter::kRequired, true},
    {"levels", FamilyParameter::kOptional, true},
    {"means", FamilyParameter::kOptional},
};

// Of the tables' weights the signs are left.
void ForOperand(absl::string_view operand, FormatProto* format) {
  if (operand != operands::kWeight || !format->has_lutnet()) return;
  format->mutable_binary()->set_bipolar(true);
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const LutNetFormat& lutnet = proto.lutnet();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "k", lutnet.k(), 1, kMaxLutInputs));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "binarization_level", lutnet.binarization_level(), 0, 1));
  return MakeResidualFormat(kName, proto, lutnet.levels(), lutnet.means());
}

}  // namespace

std::vector<float> LutTruthTable(int k) {
  const int columns = 1 << k;
  std::vector<float> table;
  for (int row = 0; row < k; ++row) {
    for (int column = 0; column < columns; ++column) {
      table.push_back(column >> (k - 1 - row) & 1 ? 1.0f : -1.0f);
    }
  }
  return table;
}

std::vector<float> LutBasis(absl::Span<const float> signs) {
  const int k = static_cast<int>(signs.size());
  const std::vector<float> table = LutTruthTable(k);
  const int columns = 1 << k;
  std::vector<float> basis(columns, 1.0f);
  for (int column = 0; column < columns; ++column) {
    for (int row = 0; row < k; ++row) {
      basis[column] *= (1 + signs[row] * table[row * columns + column]) / 2;
    }
  }
  return basis;
}

absl::StatusOr<float> LutForward(int k, absl::Span<const float> levels,
                                 absl::Span<const float> means, absl::Span<const float> weights,
                                 bool binarized, float gamma, float mask) {
  MASE_RETURN_IF_ERROR(CheckRange(kName, "k", k, 1, kMaxLutInputs));
  const size_t columns = size_t{1} << k;
  if (levels.size() != means.size() * k || weights.size() != means.size() * columns) {
    return absl::InvalidArgumentError(absl::StrCat(kName, ": ", levels.size(), " inputs and ",
                                                   weights.size(), " weights for ", means.size(),
                                                   " levels of tables with ", k, " inputs"));
  }
  float sum = 0;
  for (size_t level = 0; level < means.size(); ++level) {
    std::vector<float> signs;
    for (int i = 0; i < k; ++i) signs.push_back(levels[level * k + i] < 0 ? -1.0f : 1.0f);
    const std::vector<float> basis = LutBasis(signs);
    for (size_t column = 0; column < columns; ++column) {
      const float weight = weights[level * columns + column];
      const float value = !binarized ? weight : weight > 0 ? 1.0f : weight < 0 ? -1.0f : 0.0f;
      sum += basis[column] * value * std::fabs(means[level]);
    }
  }
  return sum * mask * std::fabs(gamma);
}

std::vector<float> LutInitialWeights(int k, float w0, absl::Span<const float> extra) {
  const std::vector<float> table = LutTruthTable(k);
  const size_t columns = size_t{1} << k;
  std::vector<float> weights(columns);
  for (size_t column = 0; column < columns; ++column) {
    weights[column] = w0 * table[column];
    for (size_t j = 0; j < extra.size(); ++j) {
      weights[column] += extra[j] * table[(j + 1) * columns + column];
    }
  }
  return weights;
}

const Family& LutNetFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kLutnet,
      .name = kName,
      .class_suffix = "LUT",
      .summary = "residual sign inputs; weights become truth tables of k inputs",
      .example = "lutnet { k: 2 levels: 2 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFewBits,
      .scheme = OperandScheme::kSigns,
      .ops = kOps,
      .for_operand = ForOperand,
  };
  return kFamily;
}

}  // namespace mase
