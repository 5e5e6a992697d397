#include "mase/data/numpy_table.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/arrays.h"
#include "mase/data/columns.h"
#include "mase/data/foreign_data.h"
#include "mase/data/labels.h"
#include "mase/interop/npy.h"
#include "mase/interop/npz.h"

namespace mase {
namespace {

using NpyArray = std::variant<Tensor, NpyTexts>;

absl::StatusOr<Tensor> NumbersOf(NpyArray array, absl::string_view name) {
  if (Tensor* tensor = std::get_if<Tensor>(&array)) return std::move(*tensor);
  return absl::InvalidArgumentError(absl::StrCat(name, ": texts, want numbers"));
}

// Some columns of [rows, columns].
Tensor Columns(const Tensor& array, const std::vector<int>& columns) {
  const int64_t rows = array.shape()[0];
  const size_t size = ElementSize(array.dtype());
  Tensor result(array.dtype(), {rows, static_cast<int64_t>(columns.size())});
  const char* row = static_cast<const char*>(array.raw_data());
  char* out = static_cast<char*>(result.mutable_raw_data());
  for (int64_t i = 0; i < rows; ++i, row += array.shape()[1] * size) {
    for (const int column : columns) {
      out = std::copy_n(row + column * size, size, out);
    }
  }
  return result;
}

absl::StatusOr<DataTable> ReadNpyTable(absl::string_view path, absl::string_view bytes,
                                       const TableColumns& wanted) {
  MASE_ASSIGN_OR_RETURN(NpyArray parsed, ParseNpy(bytes, path));
  MASE_ASSIGN_OR_RETURN(const Tensor array, NumbersOf(std::move(parsed), path));
  const Shape& shape = array.shape();
  if (shape.rank() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": an array of shape ", shape.ToString(),
                                                   ", want [rows, columns] with the class in one"));
  }
  if (array.elements() == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": no rows"));
  FileColumns columns;
  for (int64_t i = 0; i < shape[1]; ++i) columns.names.push_back(absl::StrCat(i));
  TableColumns by_number = wanted;
  if (wanted.label == "class") {
    by_number.label = wanted.features.empty() ? "" : absl::StrCat(wanted.features.size());
  }
  DataTable table;
  MASE_ASSIGN_OR_RETURN(const ColumnChoice chosen, ChooseColumns(path, columns, by_number, table));
  for (std::string& note : table.notes) note = absl::StrCat(path, ": ", note);
  const ArrayChoice choice = {"array", table.label_name, chosen.label_choice, {}};
  MASE_RETURN_IF_ERROR(SetFeatures(path, choice, Columns(array, chosen.features), table));
  if (chosen.labels.empty()) return table;
  const Tensor labels = Columns(array, chosen.labels);
  MASE_RETURN_IF_ERROR(SetLabels(path, choice, labels.shape(), labels, table));
  if (choice.label_choice == LabelChoice::kLastColumn) table.label_name = std::string("class");
  return table;
}

absl::StatusOr<DataTable> ReadNpzTable(absl::string_view path, absl::string_view bytes,
                                       const TableColumns& wanted) {
  const auto annotate = [&](const absl::Status& status) { return Annotate(status, path); };
  const absl::StatusOr<NpzFile> file = NpzFile::Open(bytes);
  if (!file.ok()) return annotate(file.status());
  if (file->names().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", DescribeForeignData(bytes)));
  }
  const absl::StatusOr<ArrayChoice> choice = ChooseArrays(file->names(), wanted);
  if (!choice.ok()) return annotate(choice.status());
  const auto read = [&](const std::string& name) -> absl::StatusOr<NpyArray> {
    const std::string place = absl::StrCat(path, ": array '", name, "'");
    const absl::StatusOr<std::string> member = file->Unpack(name);
    if (!member.ok()) return Annotate(member.status(), place);
    return ParseNpy(*member, place);
  };
  DataTable table;
  MASE_ASSIGN_OR_RETURN(NpyArray x, read(choice->features));
  MASE_ASSIGN_OR_RETURN(
      const Tensor features,
      NumbersOf(std::move(x), absl::StrCat(path, ": array '", choice->features, "'")));
  MASE_RETURN_IF_ERROR(SetFeatures(path, *choice, features, table));
  for (const std::string& name : file->names()) {
    if (name != choice->features && name != choice->labels) table.left_out.push_back(name);
  }
  if (choice->labels.empty()) return table;
  MASE_ASSIGN_OR_RETURN(NpyArray y, read(choice->labels));
  if (NpyTexts* texts = std::get_if<NpyTexts>(&y)) {
    const LabelArray labels = std::move(texts->values);
    MASE_RETURN_IF_ERROR(SetLabels(path, *choice, texts->shape, labels, table));
  } else {
    const Tensor& labels = std::get<Tensor>(y);
    MASE_RETURN_IF_ERROR(SetLabels(path, *choice, labels.shape(), labels, table));
  }
  if (choice->label_choice == LabelChoice::kKnownName) table.label_name = std::string("class");
  return table;
}

}  // namespace

bool IsNumpyFile(absl::string_view bytes) { return IsNpy(bytes) || IsZip(bytes); }

absl::StatusOr<DataTable> ReadNumpyTable(absl::string_view path, absl::string_view bytes,
                                         const TableColumns& wanted) {
  return IsNpy(bytes) ? ReadNpyTable(path, bytes, wanted) : ReadNpzTable(path, bytes, wanted);
}

}  // namespace mase
