#include "mase/base/table_report.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"

namespace mase {
namespace {

using google::protobuf::Value;

constexpr double kLargestExact = 9007199254740992;  // 2^53.

Value ValueOf(const Cell& cell) {
  Value value;
  value.set_null_value(google::protobuf::NULL_VALUE);
  if (const auto* text = std::get_if<std::string>(&cell.value())) value.set_string_value(*text);
  if (const auto* truth = std::get_if<bool>(&cell.value())) value.set_bool_value(*truth);
  if (const auto* whole = std::get_if<int64_t>(&cell.value())) {
    value.set_number_value(static_cast<double>(*whole));
  }
  if (const auto* real = std::get_if<double>(&cell.value()); real != nullptr) {
    if (std::isfinite(*real)) value.set_number_value(*real);
  }
  return value;
}

bool IsWhole(double number) {
  return std::trunc(number) == number && std::abs(number) <= kLargestExact;
}

Cell CellOf(const Value& value, bool whole) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      if (whole) return static_cast<int64_t>(value.number_value());
      return value.number_value();
    case Value::kStringValue:
      return value.string_value();
    case Value::kBoolValue:
      return value.bool_value();
    default:
      return Cell();
  }
}

}  // namespace

TableReport ReportOf(const Table& table) {
  TableReport report;
  report.set_name(table.name());
  report.set_title(table.title());
  for (const Column& column : table.columns()) {
    TableReport::Column& added = *report.add_columns();
    added.set_name(column.name);
    added.set_unit(column.unit);
    if (column.decimals >= 0) added.set_decimals(static_cast<uint32_t>(column.decimals));
  }
  for (const std::vector<Cell>& row : table.rows()) {
    google::protobuf::ListValue& cells = *report.add_rows();
    for (const Cell& cell : row) *cells.add_values() = ValueOf(cell);
  }
  return report;
}

absl::StatusOr<Table> TableOf(const TableReport& report) {
  const auto damaged = [&report](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("table '", report.name(), "': ", what));
  };
  if (report.columns().empty()) return damaged("has no columns");
  std::vector<Column> columns;
  for (const TableReport::Column& column : report.columns()) {
    columns.push_back({column.name(), column.unit()});
    // More digits than a double has would only fill the line.
    if (column.has_decimals()) {
      columns.back().decimals = static_cast<int>(std::min(column.decimals(), uint32_t{17}));
    }
  }
  std::vector<bool> whole;
  for (const Column& column : columns) whole.push_back(column.decimals < 0);
  for (const google::protobuf::ListValue& row : report.rows()) {
    if (row.values_size() != report.columns_size()) {
      return damaged(absl::StrCat("has ", report.columns_size(), " columns, but a row of ",
                                  row.values_size(), " cells"));
    }
    for (int i = 0; i < row.values_size(); ++i) {
      const Value& value = row.values(i);
      if (value.has_list_value() || value.has_struct_value()) {
        return damaged(absl::StrCat("a cell of column '", columns[i].name,
                                    "' is neither text, number, truth nor null"));
      }
      if (value.kind_case() == Value::kNumberValue && !IsWhole(value.number_value())) {
        whole[i] = false;
      }
    }
  }
  Table table(report.name(), report.title(), std::move(columns));
  for (const google::protobuf::ListValue& row : report.rows()) {
    std::vector<Cell> cells;
    for (int i = 0; i < row.values_size(); ++i) cells.push_back(CellOf(row.values(i), whole[i]));
    table.AddRow(std::move(cells));
  }
  return table;
}

}  // namespace mase
