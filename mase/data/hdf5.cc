#include "mase/data/hdf5.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/arrays.h"
#include "mase/data/columns.h"
#include "mase/data/hdf5_file.h"
#include "mase/data/labels.h"
#include "mase/tensor/convert.h"

namespace mase {
namespace {

// Numbers the distinct patterns of one-hot values, which are few.
class OneHotCodes {
 public:
  int64_t CodeOf(const std::vector<float>& pattern) {
    if (!patterns_.empty() && pattern == patterns_[last_]) return last_;
    const auto [entry, inserted] = codes_.try_emplace(pattern, patterns_.size());
    if (inserted) patterns_.push_back(pattern);
    return last_ = entry->second;
  }
  const std::vector<std::vector<float>>& patterns() const { return patterns_; }

 private:
  std::vector<std::vector<float>> patterns_;
  std::map<std::vector<float>, int64_t> codes_;
  int64_t last_ = 0;
};

// Where the columns go.
struct Destination {
  std::vector<Hdf5Member> members;  // Features, then one-hot columns.
  std::vector<std::string> names;
  int64_t features = 0;      // How many of them are features.
  float* values = nullptr;   // [rows, features]
  float* one_hot = nullptr;  // [rows, the rest]
};

absl::Status StoreRows(const std::string& path, const Destination& to, const std::string& bytes,
                       size_t row_bytes, int64_t first_row, int64_t count) {
  const int64_t columns = to.members.size();
  float* values = to.values + first_row * to.features;
  float* one_hot = to.one_hot + first_row * (columns - to.features);
  const char* at = bytes.data();
  for (int64_t row = first_row; row < first_row + count; ++row, at += row_bytes) {
    for (int64_t c = 0; c < columns; ++c) {
      const float value = to.members[c].Load(at);
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": row ", row, ": column '",
                                                       to.names[c], "' is not a finite number"));
      }
      *(c < to.features ? values : one_hot)++ = value;
    }
  }
  return absl::OkStatus();
}

absl::Status StoreAllRows(const std::string& path, const Hdf5DataSet& set, const Destination& to) {
  MASE_ASSIGN_OR_RETURN(const Hdf5Elements elements, Hdf5Elements::Open(set));
  std::vector<absl::Status> status(static_cast<size_t>(elements.blocks()));
  constexpr size_t kWorthThreads = 4 << 20;  // Starting them costs as much as small tables do.
  const bool threads = static_cast<size_t>(set.rows()) * set.row_bytes() > kWorthThreads;
  std::atomic<bool> failed = false;
#pragma omp parallel for schedule(dynamic, 1) if (threads)
  for (int64_t i = 0; i < elements.blocks(); ++i) {
    if (failed) continue;
    const absl::StatusOr<std::string> rows = elements.Block(i);
    const int64_t first_row = i * elements.block_rows();
    status[i] = rows.ok() ? StoreRows(path, to, *rows, set.row_bytes(), first_row,
                                      std::min(elements.block_rows(), set.rows() - first_row))
                          : rows.status();
    if (!status[i].ok()) failed = true;
  }
  for (const absl::Status& s : status) MASE_RETURN_IF_ERROR(s);
  return absl::OkStatus();
}

// Gives equal rows of one-hot values equal labels, and each label the class of its largest value.
absl::Status LabelRows(const Hdf5Columns& columns, const std::string& path,
                       const std::vector<float>& one_hot, DataTable& table) {
  OneHotCodes codes;
  const int64_t width = columns.one_hot.size();
  std::vector<float> pattern(width);
  const float* next = one_hot.data();
  for (int64_t& label : table.labels.mutable_data<int64_t>()) {
    pattern.assign(next, next + width);
    next += width;
    label = codes.CodeOf(pattern);
    if (label >= limits::kMaxClasses) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": more classes than the limit of ", limits::kMaxClasses));
    }
  }
  for (const std::vector<float>& known : codes.patterns()) {
    const auto largest = std::max_element(known.begin(), known.end());
    table.class_texts.push_back(columns.classes[largest - known.begin()]);
    table.class_places.push_back(path);
  }
  return absl::OkStatus();
}

// All elements of a data set.
absl::StatusOr<std::string> ReadElements(const Hdf5DataSet& set) {
  MASE_ASSIGN_OR_RETURN(const Hdf5Elements elements, Hdf5Elements::Open(set));
  return elements.All();
}

// The numbers of a data set: as float64 where float32 may not hold them.
absl::StatusOr<Tensor> ReadNumbers(const Hdf5DataSet& set, const Hdf5Member& element) {
  const bool narrow = element.number == HDF5_FLOAT32 || element.bytes <= 2;
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadElements(set));
  MASE_ASSIGN_OR_RETURN(Tensor tensor,
                        Tensor::Create(narrow ? DType::kFloat32 : DType::kFloat64, set.shape()));
  if (narrow) {
    float* out = tensor.mutable_data<float>().data();
    for (size_t at = 0; at < bytes.size(); at += element.bytes) *out++ = element.Load(&bytes[at]);
  } else {
    double* out = tensor.mutable_data<double>().data();
    for (size_t at = 0; at < bytes.size(); at += element.bytes) {
      *out++ = element.LoadDouble(&bytes[at]);
    }
  }
  return tensor;
}

absl::StatusOr<DataTable> ReadArrays(const std::string& path, const Hdf5File& file,
                                     const ArrayChoice& choice) {
  DataTable table;
  MASE_ASSIGN_OR_RETURN(const Hdf5DataSet feature_set, file.Find(choice.features));
  MASE_ASSIGN_OR_RETURN(const Hdf5Member number, feature_set.Element());
  if (number.is_text()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": data set '", choice.features, "' holds texts, want numbers"));
  }
  MASE_ASSIGN_OR_RETURN(const Tensor features, ReadNumbers(feature_set, number));
  MASE_RETURN_IF_ERROR(SetFeatures(path, choice, features, table));
  if (choice.labels.empty()) return table;
  MASE_ASSIGN_OR_RETURN(const Hdf5DataSet label_set, file.Find(choice.labels));
  MASE_ASSIGN_OR_RETURN(const Hdf5Member label, label_set.Element());
  LabelArray labels;
  if (label.is_text()) {
    MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadElements(label_set));
    std::vector<std::string> texts;
    for (size_t at = 0; at < bytes.size(); at += label.bytes) {
      texts.push_back(label.LoadText(&bytes[at]));
    }
    labels = std::move(texts);
  } else {
    MASE_ASSIGN_OR_RETURN(labels, ReadNumbers(label_set, label));
  }
  MASE_RETURN_IF_ERROR(SetLabels(path, choice, label_set.shape(), labels, table));
  if (choice.label_choice == LabelChoice::kKnownName) table.label_name = std::string("class");
  return table;
}

// Some columns of a table's rows.
absl::StatusOr<Tensor> TakeColumns(const std::vector<Hdf5Member>& members, size_t row_bytes,
                                   const std::string& bytes) {
  const int64_t rows = bytes.size() / row_bytes;
  MASE_ASSIGN_OR_RETURN(
      Tensor columns,
      Tensor::Create(DType::kFloat64, {rows, static_cast<int64_t>(members.size())}));
  double* out = columns.mutable_data<double>().data();
  for (size_t at = 0; at < bytes.size(); at += row_bytes) {
    for (const Hdf5Member& member : members) *out++ = member.LoadDouble(&bytes[at]);
  }
  return columns;
}

absl::StatusOr<DataTable> ReadCompound(const std::string& path, const std::string& name,
                                       const Hdf5DataSet& set, const TableColumns& wanted) {
  FileColumns columns = {set.ColumnNames(), {}};
  std::vector<Hdf5Member> members;
  for (size_t i = 0; i < columns.names.size(); ++i) {
    const absl::StatusOr<Hdf5Member> member = set.Column(static_cast<int>(i));
    if (!member.ok() && wanted.features.empty()) {  // Nothing is left out unless it is a text.
      return absl::Status(member.status().code(),
                          absl::StrCat(member.status().message(),
                                       "; name the features: --set dataset.features=NAME,NAME"));
    }
    columns.texts.push_back(!member.ok() || member->is_text());
    members.push_back(member.value_or(Hdf5Member{.number = HDF5_OTHER}));
  }
  DataTable table;
  MASE_ASSIGN_OR_RETURN(const ColumnChoice chosen, ChooseColumns(path, columns, wanted, table));
  for (std::string& note : table.notes) note = absl::StrCat(path, ": ", note);
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadElements(set));
  const auto numbers = [&](const std::vector<int>& numbers_of) -> absl::StatusOr<Tensor> {
    std::vector<Hdf5Member> taken;
    for (const int column : numbers_of) {
      if (columns.texts[column]) {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ": column '", columns.names[column], "' holds no numbers"));
      }
      taken.push_back(members[column]);
    }
    return TakeColumns(taken, set.row_bytes(), bytes);
  };
  const ArrayChoice choice = {name, table.label_name, chosen.label_choice, {}};
  MASE_ASSIGN_OR_RETURN(const Tensor features, numbers(chosen.features));
  MASE_RETURN_IF_ERROR(SetFeatures(path, choice, features, table));
  if (chosen.labels.empty()) return table;
  const int label = chosen.labels[0];
  if (chosen.labels.size() > 1) {
    std::vector<std::string> classes;
    for (const int column : chosen.labels) classes.push_back(columns.names[column]);
    MASE_ASSIGN_OR_RETURN(const Tensor marks, numbers(chosen.labels));
    MASE_RETURN_IF_ERROR(SetOneHotLabels(ToFloat32(marks), classes, path, table));
  } else if (columns.texts[label] && members[label].is_text()) {
    std::vector<std::string> texts;
    for (size_t at = 0; at < bytes.size(); at += set.row_bytes()) {
      texts.push_back(members[label].LoadText(&bytes[at]));
    }
    MASE_RETURN_IF_ERROR(SetLabels(path, choice, Shape({set.rows()}), std::move(texts), table));
  } else {
    MASE_ASSIGN_OR_RETURN(const Tensor labels, numbers(chosen.labels));
    MASE_RETURN_IF_ERROR(SetLabels(path, choice, labels.shape(), labels, table));
  }
  return table;
}

absl::StatusOr<DataTable> ReadNamed(const std::string& name, const Hdf5File& file,
                                    const Hdf5Columns& columns) {
  MASE_ASSIGN_OR_RETURN(const Hdf5DataSet set, file.Find(columns.dataset));
  if (!set.is_table()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": data set '", columns.dataset, "' is no table with named members"));
  }
  Destination to;
  to.names = columns.features;
  to.names.insert(to.names.end(), columns.one_hot.begin(), columns.one_hot.end());
  to.features = columns.features.size();
  for (const std::string& column : to.names) {
    MASE_ASSIGN_OR_RETURN(to.members.emplace_back(), set.Column(column));
    if (to.members.back().is_text()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": column '", column, "' holds texts, want numbers"));
    }
  }
  DataTable table;
  table.feature_names = columns.features;
  table.label_name = "class";
  MASE_ASSIGN_OR_RETURN(table.features, Tensor::Create(DType::kFloat32, {set.rows(), to.features}));
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {set.rows()}));
  std::vector<float> one_hot(set.rows() * columns.one_hot.size());
  to.values = table.features.mutable_data<float>().data();
  to.one_hot = one_hot.data();
  MASE_RETURN_IF_ERROR(StoreAllRows(name, set, to));
  MASE_RETURN_IF_ERROR(LabelRows(columns, name, one_hot, table));
  return table;
}

absl::StatusOr<DataTable> ReadAny(const std::string& name, Hdf5File& file,
                                  const TableColumns& wanted) {
  MASE_ASSIGN_OR_RETURN(std::vector<std::string> names, file.Names());
  if (wanted.features.size() == 1) {
    // Links within the file, and "/x": not listed, and so known by asking alone.
    for (const std::string& array : {wanted.features[0], wanted.label}) {
      const bool listed = array.empty() || absl::c_linear_search(names, array);
      if (!listed && file.Find(array).ok()) names.push_back(array);
    }
  }
  const absl::StatusOr<ArrayChoice> arrays = ChooseArrays(names, wanted);
  if (arrays.ok()) return ReadArrays(name, file, *arrays);
  std::vector<std::string> tables;
  for (const std::string& set : names) {
    const absl::StatusOr<Hdf5DataSet> found = file.Find(set);
    if (found.ok() ? found->is_table() : names.size() == 1) tables.push_back(set);
  }
  if (tables.size() != 1) return Annotate(arrays.status(), name);
  MASE_ASSIGN_OR_RETURN(const Hdf5DataSet table, file.Find(tables[0]));
  return ReadCompound(name, tables[0], table, wanted);
}

// What was read, or the error. A file that changed meanwhile is neither read nor damaged.
absl::StatusOr<DataTable> Unchanged(const Hdf5File& file, absl::StatusOr<DataTable> table) {
  if (table.ok() || absl::IsDataLoss(table.status())) MASE_RETURN_IF_ERROR(file.CheckUnchanged());
  return table;
}

}  // namespace

bool IsHdf5(absl::string_view file_bytes) {
  constexpr absl::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
  if (absl::StartsWith(file_bytes, "MATLAB 7.3 MAT-file")) return false;
  // It stands at the beginning or behind a block of a power of two, of at least 512 bytes (HDF5
  // File Format Specification, III.A).
  for (size_t at = 0; at < file_bytes.size(); at = std::max<size_t>(512, 2 * at)) {
    if (absl::StartsWith(file_bytes.substr(at), kSignature)) return true;
  }
  return false;
}

absl::StatusOr<DataTable> ReadHdf5Table(absl::string_view path, const Hdf5Columns& columns) {
  const std::string name(path);
  MASE_ASSIGN_OR_RETURN(const Hdf5File file, Hdf5File::Open(name));
  return Unchanged(file, ReadNamed(name, file, columns));
}

absl::StatusOr<DataTable> ReadHdf5(absl::string_view path, const TableColumns& wanted) {
  const std::string name(path);
  MASE_ASSIGN_OR_RETURN(Hdf5File file, Hdf5File::Open(name));
  return Unchanged(file, ReadAny(name, file, wanted));
}

}  // namespace mase
