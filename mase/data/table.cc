#include "mase/data/table.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/status_macros.h"
#include "mase/data/columns.h"
#include "mase/data/delimited.h"
#include "mase/data/dialect.h"
#include "mase/data/file_bytes.h"
#include "mase/data/foreign_data.h"
#include "mase/data/labels.h"
#include "mase/data/libsvm.h"
#include "mase/data/line_blocks.h"

namespace mase {
namespace {

// Takes lines off the front of a text and counts them.
class HeaderLines {
 public:
  explicit HeaderLines(absl::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  int64_t number() const { return number_; }  // Of the line that Next gives.
  absl::string_view rest() const { return rest_; }

  void SkipBlank() {
    while (!done() && absl::StripAsciiWhitespace(rest_.substr(0, rest_.find('\n'))).empty()) Next();
  }

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

std::string ShowSeparator(char separator) {
  if (separator == ' ') return "blanks";
  if (separator == '\t') return "tabs";
  return absl::StrCat("'", std::string(1, separator), "'");
}

void ReadCsvHeader(absl::string_view block, DelimitedBody& body, DataTable& table) {
  absl::string_view text = block;
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // The mark that spreadsheets put before UTF-8.
  Dialect dialect = FindDialect(text);
  body.separator = dialect.separator;
  body.decimal = dialect.decimal;
  body.columns = {std::move(dialect.columns), std::move(dialect.text_columns)};
  HeaderLines lines(text);
  lines.SkipBlank();
  if (dialect.header) lines.Next();
  body.header_bytes = block.size() - lines.rest().size();
  body.first_line = lines.number();
  if (dialect.separator != ',') {
    table.notes.push_back(absl::StrCat("cells are separated by ", ShowSeparator(body.separator),
                                       body.decimal == ',' ? ", with decimal commas" : ""));
  }
  const std::vector<std::string>& names = body.columns.names;
  const auto is_number = [](const std::string& name) {
    return KindOfCell(name, '.') == CellKind::kNumber;
  };
  if (!dialect.header) {
    table.notes.push_back(
        absl::StrCat("no header line; columns are called 0 to ", names.size() - 1));
  } else if (const auto number = std::find_if(names.begin(), names.end(), is_number);
             number != names.end()) {
    table.notes.push_back(absl::StrCat("the first line is the header: '", *number, "' is a name"));
  }
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
      body.columns.names.push_back(AttributeName(declaration));
    } else if (absl::EqualsIgnoreCase(line, "@data")) {
      body.header_bytes = text.size() - lines.rest().size();
      body.first_line = lines.number();
      body.columns.texts =
          FindTextColumns(lines.rest(), body.separator, body.decimal, body.comment);
      return absl::OkStatus();
    } else {
      return LineError(body, number, absl::StrCat("'", line, "' is not an ARFF declaration"));
    }
  }
  return absl::DataLossError(absl::StrCat(body.path, ": ends before @data"));
}

bool LooksLikeArff(absl::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start != absl::string_view::npos && (text[start] == '@' || text[start] == '%');
}

// Parses the rows of all chosen columns; one-hot ones as if they were features behind the others.
absl::Status ReadRows(const ColumnChoice& choice, LineBlocks& lines, DelimitedBody& body,
                      DataTable& table) {
  std::vector<int> columns = choice.features;
  const bool one_hot = choice.labels.size() > 1;
  if (one_hot) columns.insert(columns.end(), choice.labels.begin(), choice.labels.end());
  body.feature_of_column.assign(body.columns.names.size(), -1);
  for (size_t i = 0; i < columns.size(); ++i) body.feature_of_column[columns[i]] = i;
  body.label_column = choice.labels.size() == 1 ? choice.labels[0] : -1;
  MASE_RETURN_IF_ERROR(ParseDelimited(body, lines, table));
  if (body.label_column >= 0) return CheckLabels(table, choice.label_choice, body.path);
  if (!one_hot) return absl::OkStatus();
  std::vector<std::string> classes;
  for (const int column : choice.labels) classes.push_back(body.columns.names[column]);
  return SplitOneHot(classes, body.path, table);
}

}  // namespace

absl::StatusOr<DataTable> ReadTable(absl::string_view path, const TableColumns& columns) {
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<LineBlocks> lines, LineBlocks::Open(path));
  MASE_ASSIGN_OR_RETURN(const absl::string_view text, lines->Next());
  const std::string foreign = DescribeForeignData(text);
  if (!foreign.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", foreign));
  if (LooksLikeLibsvm(text)) {
    MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Open(path));
    return ParseLibsvm(path, file.bytes(), columns);
  }
  DelimitedBody body;
  DataTable table;
  body.path = path;
  if (LooksLikeArff(text)) {
    MASE_RETURN_IF_ERROR(ReadArffHeader(text, body));
  } else {
    ReadCsvHeader(text, body, table);
  }
  if (body.columns.names.empty()) return LineError(body, 1, "no columns");
  MASE_ASSIGN_OR_RETURN(const ColumnChoice choice,
                        ChooseColumns(path, body.columns, columns, table));
  MASE_RETURN_IF_ERROR(ReadRows(choice, *lines, body, table));
  for (std::string& note : table.notes) note = absl::StrCat(path, ": ", note);
  return table;
}

}  // namespace mase
