#include "mase/data/plugin_table.h"

#include <cmath>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/call_foreign.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/columns.h"

namespace mase {
namespace {

// What a plugin hands over is checked as what a file holds is.
absl::Status CheckRows(const DataReader& reader, const ReadRows& rows) {
  const auto wrong = [&](const auto&... what) {
    return absl::InternalError(absl::StrCat("its reader ", reader.name, " gave ", what...));
  };
  const Shape& shape = rows.features.shape();
  if (rows.features.dtype() != DType::kFloat32 || shape.rank() != 2 || shape.elements() == 0) {
    return wrong("features ", DTypeName(rows.features.dtype()), " ", shape.ToString(),
                 ", want float32 [rows, columns]");
  }
  for (int64_t i = 0; i < shape.elements(); ++i) {
    if (!std::isfinite(rows.features.data<float>()[i])) {
      return wrong("row ", i / shape[1], " a feature that is no finite number");
    }
  }
  if (!rows.feature_names.empty() && static_cast<int64_t>(rows.feature_names.size()) != shape[1]) {
    return wrong(rows.feature_names.size(), " names for ", shape[1], " columns");
  }
  if (rows.labels.elements() == 0) return absl::OkStatus();
  if (rows.labels.dtype() != DType::kInt64 || rows.labels.shape() != Shape({shape[0]})) {
    return wrong("labels ", DTypeName(rows.labels.dtype()), " ", rows.labels.shape().ToString(),
                 ", want int64 [", shape[0], "]");
  }
  const int64_t classes = static_cast<int64_t>(rows.class_names.size());
  for (int64_t i = 0; i < shape[0]; ++i) {
    const int64_t label = rows.labels.data<int64_t>()[i];
    if (label < 0 || label >= classes) {
      return wrong("row ", i, " label ", label, ", but ", classes, " classes");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<DataTable> Take(const std::string& path, const ReadRows& rows,
                               const TableColumns& wanted) {
  const int64_t columns = rows.features.shape()[1], count = rows.features.shape()[0];
  const bool labelled = rows.labels.elements() > 0;
  FileColumns names = {rows.feature_names, {}};
  for (int64_t i = 0; names.names.size() < static_cast<size_t>(columns); ++i) {
    names.names.push_back(absl::StrCat(i));
  }
  TableColumns choice = wanted;
  if (labelled) {
    names.names.push_back(rows.label_name);
    if (choice.label.empty()) choice.label = rows.label_name;
  } else {
    choice.label_optional = true;
  }
  DataTable table;
  MASE_ASSIGN_OR_RETURN(const ColumnChoice chosen, ChooseColumns(path, names, choice, table));
  const bool own_label = chosen.labels == std::vector<int>{static_cast<int>(columns)};
  if ((!chosen.labels.empty() && !own_label) ||
      absl::c_linear_search(chosen.features, static_cast<int>(columns))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the class of such files is '", rows.label_name, "', and no feature"));
  }
  const int64_t taken = static_cast<int64_t>(chosen.features.size());
  table.features = Tensor::Zeros(DType::kFloat32, {count, taken});
  const absl::Span<float> to = table.features.mutable_data<float>();
  const absl::Span<const float> from = rows.features.data<float>();
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t i = 0; i < taken; ++i) {
      to[row * taken + i] = from[row * columns + chosen.features[i]];
    }
  }
  table.labels = labelled ? rows.labels : Tensor::Zeros(DType::kInt64, {0});
  if (!labelled) return table;
  table.class_texts = rows.class_names;
  table.class_places.assign(rows.class_names.size(), path);
  return table;
}

}  // namespace

absl::StatusOr<DataTable> ReadPluginTable(const std::string& path, const DataReader& reader,
                                          const TableColumns& wanted) {
  const absl::StatusOr<ReadRows> rows =
      CallForeign(absl::StrCat("its reader ", reader.name), [&] { return reader.read(path); });
  if (!rows.ok()) return Annotate(rows.status(), path);
  if (const absl::Status status = CheckRows(reader, *rows); !status.ok()) {
    return Annotate(status, path);
  }
  return Take(path, *rows, wanted);
}

}  // namespace mase
