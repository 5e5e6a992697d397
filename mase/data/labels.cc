#include "mase/data/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/columns.h"
#include "mase/data/dialect.h"
#include "mase/data/foreign_data.h"

namespace mase {
namespace {

constexpr size_t kShownClasses = 12;

std::optional<double> LabelNumber(absl::string_view text) {
  double value = 0;
  if (!ParseNumber(text, '.', value) || !std::isfinite(value)) return std::nullopt;
  return value == 0 ? 0 : value;  // -0 is 0.
}

// The shortest text that reads as `number`: "3", "-1", "0.5".
std::string NumberText(double number) {
  char text[32];
  const auto fixed = std::to_chars(text, text + sizeof(text), number, std::chars_format::fixed);
  if (fixed.ec == std::errc()) return std::string(text, fixed.ptr);
  return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

bool IsWhole(double number) { return number == std::floor(number); }

// The values of texts that are all numbers, in ascending order.
std::optional<std::set<double>> AllNumbers(const std::vector<std::string>& texts) {
  std::set<double> numbers;
  for (const std::string& text : texts) {
    const std::optional<double> number = LabelNumber(text);
    if (!number.has_value()) return std::nullopt;
    numbers.insert(*number);
  }
  if (numbers.empty()) return std::nullopt;
  return numbers;
}

// True for numbers that are indexes of classes: whole, from 0 on, few enough.
bool AreIndexes(const std::set<double>& numbers) {
  return *numbers.begin() == 0 && *numbers.rbegin() < limits::kMaxClasses &&
         std::all_of(numbers.begin(), numbers.end(), IsWhole);
}

std::string ShowClasses(const std::vector<std::string>& classes) {
  return ShowNames(classes, kShownClasses);
}

// Numbers distinct texts in order of first appearance.
class Appearance {
 public:
  explicit Appearance(DataTable& table) : table_(table) {}

  int64_t IndexOf(const std::string& text, absl::string_view path, int64_t row) {
    const auto [entry, inserted] = index_.try_emplace(text, index_.size());
    if (inserted) {
      table_.class_texts.push_back(text);
      table_.class_places.push_back(absl::StrCat(path, ": row ", row));
    }
    return entry->second;
  }

 private:
  DataTable& table_;
  absl::flat_hash_map<std::string, int64_t> index_;
};

// What is said where labels are no classes. `problem` follows the column's name.
absl::Status NotClasses(const DataTable& table, LabelChoice choice, absl::string_view place,
                        absl::string_view problem) {
  const absl::string_view guess = choice == LabelChoice::kLastColumn ? "the last column, " : "";
  const absl::string_view advice =
      choice == LabelChoice::kNamedByUser
          ? "; labels are whole numbers or texts"
          : "; name the column that holds the class: --set dataset.label=NAME";
  return absl::InvalidArgumentError(
      absl::StrCat(place, ": ", guess, "'", table.label_name, "', ", problem, advice));
}

}  // namespace

std::vector<std::string> OrderClasses(const std::vector<std::string>& texts) {
  std::vector<std::string> classes;
  const std::optional<std::set<double>> numbers = AllNumbers(texts);
  if (!numbers.has_value()) {
    classes = texts;
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  } else if (AreIndexes(*numbers)) {
    for (int64_t i = 0; i <= *numbers->rbegin(); ++i) classes.push_back(absl::StrCat(i));
  } else {
    for (const double number : *numbers) classes.push_back(NumberText(number));
  }
  return classes;
}

std::string ClassesNote(const std::vector<std::string>& texts,
                        const std::vector<std::string>& classes) {
  const std::optional<std::set<double>> numbers = AllNumbers(texts);
  if (!numbers.has_value()) {
    const auto is_number = [](const std::string& text) { return LabelNumber(text).has_value(); };
    if (std::none_of(texts.begin(), texts.end(), is_number)) return "";
    return absl::StrCat("classes ", ShowClasses(classes), ": numbers among texts are texts");
  }
  if (!AreIndexes(*numbers)) return absl::StrCat("classes ", ShowClasses(classes));
  std::vector<std::string> absent;
  for (size_t i = 0; i < classes.size(); ++i) {
    if (numbers->count(static_cast<double>(i)) == 0) absent.push_back(classes[i]);
  }
  if (absent.empty()) return "";
  return absl::StrCat("classes 0 to ", classes.size() - 1, ", no rows of ", ShowClasses(absent));
}

absl::StatusOr<Tensor> LabelsAsClasses(const DataTable& table,
                                       const std::vector<std::string>& classes) {
  absl::flat_hash_map<std::string, int64_t> by_text;
  absl::flat_hash_map<double, int64_t> by_value;
  for (const std::string& name : classes) {
    const int64_t index = by_text.size();
    by_text.emplace(name, index);
    if (const auto number = LabelNumber(name)) by_value.emplace(*number, index);
  }
  std::vector<int64_t> index;
  for (size_t i = 0; i < table.class_texts.size(); ++i) {
    const std::string& text = table.class_texts[i];
    const std::optional<double> number = LabelNumber(text);
    if (const auto same = by_text.find(text); same != by_text.end()) {
      index.push_back(same->second);
    } else if (number.has_value() && by_value.contains(*number)) {
      index.push_back(by_value.at(*number));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(table.class_places[i], ": class ", Quoted(text), " is not one of the ",
                       classes.size(), " known: ", ShowClasses(classes), Suggest(text, classes)));
    }
  }
  Tensor labels = table.labels;
  for (int64_t& label : labels.mutable_data<int64_t>()) label = index[label];
  return labels;
}

absl::Status CheckLabels(const DataTable& table, LabelChoice choice, absl::string_view path) {
  const std::vector<std::string>& texts = table.class_texts;
  const int64_t distinct = texts.size();
  const bool named = choice == LabelChoice::kNamedByUser;
  const bool repeat = 2 * distinct <= table.rows();
  int64_t numbers = 0;
  int64_t missing = -1;  // The first, and how many there are.
  int64_t all_missing = 0;
  int64_t fraction = -1;
  for (int64_t i = 0; i < distinct; ++i) {
    MASE_RETURN_IF_ERROR(CheckName(path, "class", texts[i]));
    const std::optional<double> number = LabelNumber(texts[i]);
    numbers += number.has_value() ? 1 : 0;
    if (number.has_value() && fraction < 0 && !IsWhole(*number)) fraction = i;
    if (KindOfCell(texts[i], '.') != CellKind::kMissing) continue;
    if (missing < 0) missing = i;
    ++all_missing;
  }
  if (missing >= 0 && numbers > 0 && numbers + all_missing == distinct) {
    return absl::InvalidArgumentError(absl::StrCat(
        table.class_places[missing], ": column '", table.label_name, "': ", Quoted(texts[missing]),
        " is no class; rows without one can only be predicted"));
  }
  if (fraction >= 0 && numbers == distinct && !(named && repeat)) {
    return NotClasses(table, choice, table.class_places[fraction],
                      absl::StrCat("holds ", texts[fraction], ", which is no class"));
  }
  if (choice == LabelChoice::kLastColumn && distinct > 10 && !repeat) {
    return NotClasses(table, choice, path,
                      absl::StrCat("has ", distinct, " different values in ", table.rows(),
                                   " rows: these are no classes"));
  }
  if (distinct > limits::kMaxClasses) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": column '", table.label_name, "' has ",
                                                     distinct, " classes, more than the limit of ",
                                                     limits::kMaxClasses));
  }
  return absl::OkStatus();
}

absl::Status SetNumberLabels(absl::Span<const double> values, absl::string_view path,
                             DataTable& table) {
  const int64_t rows = values.size();
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {rows}));
  int64_t* label = table.labels.mutable_data<int64_t>().data();
  Appearance appearance(table);
  absl::flat_hash_map<double, int64_t> known;
  for (int64_t row = 0; row < rows; ++row) {
    if (!std::isfinite(values[row])) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": row ", row, ": label ", values[row],
                                                     " of '", table.label_name, "' is no class"));
    }
    const double value = values[row] == 0 ? 0 : values[row];
    const auto [entry, inserted] = known.try_emplace(value, 0);
    if (inserted) entry->second = appearance.IndexOf(NumberText(value), path, row);
    label[row] = entry->second;
  }
  return absl::OkStatus();
}

absl::Status SetTextLabels(absl::Span<const std::string> values, absl::string_view path,
                           DataTable& table) {
  const int64_t rows = values.size();
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {rows}));
  int64_t* label = table.labels.mutable_data<int64_t>().data();
  Appearance appearance(table);
  for (int64_t row = 0; row < rows; ++row) {
    if (values[row].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": row ", row, ": no class in '", table.label_name, "'"));
    }
    label[row] = appearance.IndexOf(values[row], path, row);
  }
  return absl::OkStatus();
}

absl::Status SetOneHotLabels(const Tensor& values, absl::Span<const std::string> names,
                             absl::string_view path, DataTable& table) {
  const int64_t rows = values.shape()[0];
  const int64_t width = values.shape()[1];
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {rows}));
  int64_t* label = table.labels.mutable_data<int64_t>().data();
  const float* next = values.data<float>().data();
  for (int64_t row = 0; row < rows; ++row, next += width) {
    const int64_t ones = std::count(next, next + width, 1.0f);
    const int64_t zeros = std::count(next, next + width, 0.0f);
    if (ones != 1 || zeros != width - 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": row ", row, ": '", table.label_name,
                       "' is not one-hot: want one 1 and else 0 in the ", width,
                       " columns that mark the classes"));
    }
    label[row] = std::find(next, next + width, 1.0f) - next;
  }
  table.class_texts.assign(names.begin(), names.end());
  table.class_places.assign(names.size(), std::string(path));
  return absl::OkStatus();
}

absl::Status SplitOneHot(absl::Span<const std::string> names, absl::string_view path,
                         DataTable& table) {
  const int64_t rows = table.rows();
  const int64_t marks = names.size();
  const int64_t width = table.features.shape()[1] - marks;
  Tensor features(DType::kFloat32, {rows, width});
  Tensor one_hot(DType::kFloat32, {rows, marks});
  const float* next = table.features.data<float>().data();
  float* feature = features.mutable_data<float>().data();
  float* mark = one_hot.mutable_data<float>().data();
  for (int64_t row = 0; row < rows; ++row, next += width + marks) {
    feature = std::copy_n(next, width, feature);
    mark = std::copy_n(next + width, marks, mark);
  }
  table.features = std::move(features);
  return SetOneHotLabels(one_hot, names, path, table);
}

}  // namespace mase
