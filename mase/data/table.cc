#include "mase/data/table.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/delimited.h"
#include "mase/data/file_bytes.h"

namespace mase {
namespace {

// Takes lines off the front of a text and counts them.
class HeaderLines {
 public:
  explicit HeaderLines(absl::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  int64_t number() const { return number_; }  // Of the line that Next gives.
  absl::string_view rest() const { return rest_; }

  absl::string_view Next() {
    const size_t end = rest_.find('\n');
    const absl::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == absl::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    return absl::StripAsciiWhitespace(line);
  }

 private:
  absl::string_view rest_;
  int64_t number_ = 1;
};

absl::Status LineError(const DelimitedBody& body, int64_t line, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(body.path, ":", line, ": ", problem));
}

absl::Status ReadCsvHeader(absl::string_view text, DelimitedBody& body) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // The mark that spreadsheets put before UTF-8.
  HeaderLines lines(text);
  body.columns = SplitCells(lines.Next());
  const auto is_number = [](const std::string& cell) {
    double value;
    return std::from_chars(cell.data(), cell.data() + cell.size(), value).ec == std::errc();
  };
  if (std::any_of(body.columns.begin(), body.columns.end(), is_number)) {
    return LineError(body, 1, "numbers where the names of the columns should be");
  }
  body.text = lines.rest();
  body.first_line = lines.number();
  return absl::OkStatus();
}

// The name in an @attribute declaration, with or without quotes.
std::string AttributeName(absl::string_view declaration) {
  const char quote = declaration.empty() ? '\0' : declaration[0];
  if (quote == '\'' || quote == '"') {
    return std::string(declaration.substr(1, declaration.find(quote, 1) - 1));
  }
  return std::string(declaration.substr(0, declaration.find_first_of(" \t{")));
}

absl::Status ReadArffHeader(absl::string_view text, DelimitedBody& body) {
  HeaderLines lines(text);
  body.comment = '%';
  while (!lines.done()) {
    const int64_t number = lines.number();
    const absl::string_view line = lines.Next();
    if (line.empty() || line[0] == '%' || absl::StartsWithIgnoreCase(line, "@relation")) continue;
    if (absl::StartsWithIgnoreCase(line, "@attribute")) {
      const absl::string_view declaration = absl::StripAsciiWhitespace(line.substr(10));
      body.columns.push_back(AttributeName(declaration));
    } else if (absl::EqualsIgnoreCase(line, "@data")) {
      body.text = lines.rest();
      body.first_line = lines.number();
      return absl::OkStatus();
    } else {
      return LineError(body, number, absl::StrCat("'", line, "' is not an ARFF declaration"));
    }
  }
  return absl::DataLossError(absl::StrCat(body.path, ": ends before @data"));
}

using ColumnIndex = absl::flat_hash_map<std::string, int>;

// The position of every column by its name, which must be short enough and unique.
absl::StatusOr<ColumnIndex> IndexColumns(const DelimitedBody& body) {
  const int64_t count = body.columns.size();
  if (count > limits::kMaxDataColumns) {
    return absl::ResourceExhaustedError(absl::StrCat(
        body.path, ": ", count, " columns, more than the limit of ", limits::kMaxDataColumns));
  }
  ColumnIndex index;
  for (const std::string& name : body.columns) {
    if (name.size() > static_cast<size_t>(limits::kMaxNameBytes)) {
      return absl::ResourceExhaustedError(
          absl::StrCat(body.path, ": a column name of ", name.size(),
                       " bytes, more than the limit of ", limits::kMaxNameBytes));
    }
    if (!index.emplace(name, static_cast<int>(index.size())).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(body.path, ": two columns are named '", name, "'"));
    }
  }
  return index;
}

absl::StatusOr<int> FindColumn(const DelimitedBody& body, const ColumnIndex& index,
                               const std::string& name) {
  const auto found = index.find(name);
  if (found != index.end()) return found->second;
  return absl::InvalidArgumentError(
      absl::StrCat(body.path, ": no column '", name, "'", Suggest(name, body.columns)));
}

// Says what each column becomes, in `body` and by the names in `table`.
absl::Status ChooseColumns(const TableColumns& wanted, DelimitedBody& body, DataTable& table) {
  MASE_ASSIGN_OR_RETURN(const ColumnIndex index, IndexColumns(body));
  const std::string fallback = index.contains("class") ? "class" : body.columns.back();
  const std::string& label = wanted.label.empty() ? fallback : wanted.label;
  body.label_column = -1;
  if (!wanted.label_optional || index.contains(label)) {
    MASE_ASSIGN_OR_RETURN(body.label_column, FindColumn(body, index, label));
    table.label_name = label;
  }
  std::vector<std::string>& names = table.feature_names;
  names = wanted.features;
  if (names.empty()) {
    names = body.columns;
    if (body.label_column >= 0) names.erase(names.begin() + body.label_column);
  }
  if (names.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(body.path, ": no column but the class"));
  }
  body.feature_of_column.assign(body.columns.size(), -1);
  for (size_t i = 0; i < names.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(const int column, FindColumn(body, index, names[i]));
    body.feature_of_column[column] = static_cast<int>(i);
  }
  for (int i = 0; i < static_cast<int>(body.columns.size()); ++i) {
    const bool left_out = body.feature_of_column[i] < 0 && i != body.label_column;
    if (left_out) table.left_out.push_back(body.columns[i]);
  }
  return absl::OkStatus();
}

bool LooksLikeArff(absl::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start != absl::string_view::npos && (text[start] == '@' || text[start] == '%');
}

// The value of a text that is a whole number in 0..kMaxClasses-1, else -1.
int64_t ClassNumber(absl::string_view text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value < limits::kMaxClasses ? value : -1;
}

}  // namespace

absl::StatusOr<DataTable> ReadTable(absl::string_view path, const TableColumns& columns) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Open(path));
  DelimitedBody body;
  body.path = path;
  if (LooksLikeArff(file.bytes())) {
    MASE_RETURN_IF_ERROR(ReadArffHeader(file.bytes(), body));
  } else {
    MASE_RETURN_IF_ERROR(ReadCsvHeader(file.bytes(), body));
  }
  if (body.columns.empty()) return LineError(body, 1, "no columns");
  DataTable table;
  MASE_RETURN_IF_ERROR(ChooseColumns(columns, body, table));
  MASE_RETURN_IF_ERROR(ParseDelimited(body, table));
  return table;
}

std::vector<std::string> OrderClasses(const std::vector<std::string>& texts) {
  std::vector<int64_t> numbers;
  for (const std::string& text : texts) numbers.push_back(ClassNumber(text));
  std::vector<std::string> classes;
  if (!numbers.empty() && *std::min_element(numbers.begin(), numbers.end()) >= 0) {
    const int64_t largest = *std::max_element(numbers.begin(), numbers.end());
    for (int64_t i = 0; i <= largest; ++i) classes.push_back(absl::StrCat(i));
    return classes;
  }
  classes = texts;
  std::sort(classes.begin(), classes.end());
  return classes;
}

absl::StatusOr<Tensor> LabelsAsClasses(const DataTable& table,
                                       const std::vector<std::string>& classes) {
  absl::flat_hash_map<std::string, int64_t> known;
  for (const std::string& name : classes) known.emplace(name, known.size());
  std::vector<int64_t> index;
  for (size_t i = 0; i < table.class_texts.size(); ++i) {
    const std::string& text = table.class_texts[i];
    const auto found = known.find(text);
    if (found == known.end()) {
      const size_t shown = std::min<size_t>(classes.size(), 12);
      return absl::InvalidArgumentError(absl::StrCat(
          table.class_places[i], ": class '", text, "' is not one of the ", classes.size(),
          " known: ", absl::StrJoin(classes.begin(), classes.begin() + shown, ", "),
          shown < classes.size() ? ", ..." : "", Suggest(text, classes)));
    }
    index.push_back(found->second);
  }
  Tensor labels = table.labels;
  for (int64_t& label : labels.mutable_data<int64_t>()) label = index[label];
  return labels;
}

}  // namespace mase
