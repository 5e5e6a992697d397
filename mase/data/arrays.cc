#include "mase/data/arrays.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/columns.h"
#include "mase/data/dataset.h"
#include "mase/data/labels.h"
#include "mase/tensor/convert.h"

namespace mase {
namespace {

constexpr absl::string_view kFeatureArrays[] = {"x", "features", "data"};
constexpr absl::string_view kLabelArrays[] = {"y", "label", "labels", "target", "targets"};

// The first of `names` that is one of `known`, whatever its case; else "".
std::string FindKnown(absl::Span<const std::string> names,
                      absl::Span<const absl::string_view> known) {
  for (const absl::string_view wanted : known) {
    for (const std::string& name : names) {
      if (absl::EqualsIgnoreCase(name, wanted)) return name;
    }
  }
  return "";
}

bool Has(absl::Span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status NoArray(absl::string_view what, absl::string_view setting,
                     absl::Span<const std::string> names) {
  return absl::InvalidArgumentError(
      absl::StrCat("no array of ", what, "; name one: --set dataset.", setting,
                   "=NAME; it has: ", ShowNames(names, names.size())));
}

// The columns of `choice`, by number, of features [rows, width].
absl::Status SelectColumns(absl::string_view path, const ArrayChoice& choice, DataTable& table) {
  const int64_t rows = table.rows();
  const int64_t width = table.feature_names.size();
  std::vector<int64_t> columns;
  std::vector<bool> is_taken(width, false);
  for (const std::string& name : choice.columns) {
    int64_t column = 0;
    if (!absl::SimpleAtoi(name, &column) || column < 0 || column >= width) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": no feature '", name, "': '",
                                                     choice.features, "' has columns 0 to ",
                                                     width - 1, ", without names"));
    }
    if (is_taken[column]) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": feature '", name, "' is named twice"));
    }
    is_taken[column] = true;
    columns.push_back(column);
  }
  if (choice.columns == table.feature_names) return absl::OkStatus();
  if (table.features.shape().rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": columns can be chosen of features [rows, columns], '",
                     choice.features, "' is ", table.features.shape().ToString()));
  }
  Tensor chosen(DType::kFloat32, {rows, static_cast<int64_t>(columns.size())});
  float* out = chosen.mutable_data<float>().data();
  const float* row = table.features.data<float>().data();
  for (int64_t i = 0; i < rows; ++i, row += width) {
    for (const int64_t column : columns) *out++ = row[column];
  }
  table.features = std::move(chosen);
  table.feature_names = choice.columns;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ArrayChoice> ChooseArrays(absl::Span<const std::string> names,
                                         const TableColumns& wanted) {
  ArrayChoice choice;
  choice.columns = wanted.features;
  if (wanted.features.size() == 1 && Has(names, wanted.features[0])) {
    choice.features = wanted.features[0];
    choice.columns.clear();
  } else {
    choice.features = FindKnown(names, kFeatureArrays);
  }
  if (choice.features.empty() && wanted.features.size() == 1) {
    return absl::InvalidArgumentError(absl::StrCat("no array ", Quoted(wanted.features[0]),
                                                   "; it has: ", ShowNames(names, names.size()),
                                                   Suggest(wanted.features[0], names)));
  }
  if (choice.features.empty()) return NoArray("features", "features", names);
  if (!wanted.label.empty() && (Has(names, wanted.label) || !wanted.label_optional)) {
    if (!Has(names, wanted.label)) {
      return absl::InvalidArgumentError(absl::StrCat("no array '", wanted.label,
                                                     "'; it has: ", ShowNames(names, names.size()),
                                                     Suggest(wanted.label, names)));
    }
    choice.labels = wanted.label;
    choice.label_choice = LabelChoice::kNamedByUser;
  } else {
    choice.labels = FindKnown(names, kLabelArrays);
    if (choice.labels.empty() && !wanted.label_optional) return NoArray("labels", "label", names);
  }
  return choice;
}

absl::Status SetFeatures(absl::string_view path, const ArrayChoice& choice, const Tensor& array,
                         DataTable& table) {
  const Shape& shape = array.shape();
  if (shape.rank() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": features '", choice.features, "' is a single number"));
  }
  if (array.elements() == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": no rows"));
  int64_t rounded = 0;
  table.features = ToFloat32(array, &rounded);
  if (shape.rank() == 1) table.features = table.features.Reshape({shape[0], 1});
  if (rounded > 0) {
    table.notes.push_back(absl::StrCat(path, ": '", choice.features, "' is ",
                                       DTypeName(array.dtype()), ": ", WithCommas(rounded), " of ",
                                       WithCommas(array.elements()), " values rounded to float32"));
  }
  const int64_t width = array.elements() / shape[0];
  if (table.feature_names.empty()) {
    for (int64_t i = 0; i < width; ++i) table.feature_names.push_back(absl::StrCat(i));
  }
  if (!choice.columns.empty()) MASE_RETURN_IF_ERROR(SelectColumns(path, choice, table));
  const absl::Span<const float> values = std::as_const(table.features).data<float>();
  const auto bad = std::find_if_not(values.begin(), values.end(),
                                    [](float value) { return std::isfinite(value); });
  if (bad == values.end()) return absl::OkStatus();
  const int64_t at = bad - values.begin();
  const int64_t chosen = table.feature_names.size();
  return absl::InvalidArgumentError(absl::StrCat(path, ": row ", at / chosen, ": feature ",
                                                 table.feature_names[at % chosen],
                                                 " is not a finite number"));
}

absl::Status SetLabels(absl::string_view path, const ArrayChoice& choice, const Shape& shape,
                       const LabelArray& labels, DataTable& table) {
  const bool column = shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1);
  const Tensor* numbers = std::get_if<Tensor>(&labels);
  if (shape.rank() < 1 || shape[0] != table.rows() ||
      !(column || (shape.rank() == 2 && numbers != nullptr))) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": features ", table.features.shape().ToString(), " and labels '",
                     choice.labels, "' ", shape.ToString(),
                     ", want [rows, ...] and [rows], [rows, 1] or one-hot [rows, classes]"));
  }
  table.label_name = choice.labels;
  if (numbers == nullptr) {
    MASE_RETURN_IF_ERROR(SetTextLabels(std::get<std::vector<std::string>>(labels), path, table));
    return CheckLabels(table, choice.label_choice, path);
  }
  if (column) {
    std::vector<double> values(numbers->elements());
    VisitNumbers(*numbers, [&](size_t i, double value) { values[i] = value; });
    MASE_RETURN_IF_ERROR(SetNumberLabels(values, path, table));
    return CheckLabels(table, choice.label_choice, path);
  }
  std::vector<std::string> names;
  for (int64_t i = 0; i < shape[1]; ++i) names.push_back(absl::StrCat(i));
  table.notes.push_back(
      absl::StrCat(path, ": labels '", choice.labels, "' ", shape.ToString(), " are one-hot"));
  return SetOneHotLabels(ToFloat32(*numbers), names, path, table);
}

}  // namespace mase
