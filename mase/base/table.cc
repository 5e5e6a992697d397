#include "mase/base/table.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "glog/logging.h"
#include "mase/base/table_text.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string CsvText(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell.value())) return absl::StrCat(*whole);
  if (const auto* real = std::get_if<double>(&cell.value())) {
    return table_text::ShortestText(*real);
  }
  if (const auto* truth = std::get_if<bool>(&cell.value())) return *truth ? "true" : "false";
  const auto* text = std::get_if<std::string>(&cell.value());
  return text == nullptr ? "" : *text;
}

std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

OrderedJson JsonOf(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell.value())) return *whole;
  if (const auto* truth = std::get_if<bool>(&cell.value())) return *truth;
  if (const auto* text = std::get_if<std::string>(&cell.value())) return *text;
  const auto* real = std::get_if<double>(&cell.value());
  if (real == nullptr || !std::isfinite(*real)) return nullptr;
  const bool whole = std::trunc(*real) == *real && std::abs(*real) < 1e15;
  return whole ? OrderedJson(static_cast<int64_t>(*real)) : OrderedJson(*real);
}

}  // namespace

Table::Table(std::string name, std::string title, std::vector<Column> columns)
    : name_(std::move(name)), title_(std::move(title)), columns_(std::move(columns)) {
  CHECK(!columns_.empty()) << "a table without columns";
}

void Table::AddRow(std::vector<Cell> cells) {
  CHECK_EQ(cells.size(), columns_.size()) << "cells of a row against the columns";
  rows_.push_back(std::move(cells));
}

void Table::Dim(int row, int column) { dimmed_.emplace_back(row, column); }

std::string Table::Csv() const {
  std::string csv;
  for (size_t i = 0; i < columns_.size(); ++i) {
    absl::StrAppend(&csv, i == 0 ? "" : ",", Quoted(columns_[i].name));
  }
  csv += '\n';
  for (const std::vector<Cell>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&csv, i == 0 ? "" : ",", Quoted(CsvText(row[i])));
    }
    csv += '\n';
  }
  return csv;
}

std::string Table::Markdown() const {
  const auto escaped = [](const std::string& text) {
    return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", "<br>"}, {"\r", ""}});
  };
  std::string head = "|", rule = "|", body;
  const std::vector<Align> aligns = table_text::ResolvedAligns(*this);
  for (size_t i = 0; i < columns_.size(); ++i) {
    absl::StrAppend(&head, " ", escaped(table_text::Heading(columns_[i])), " |");
    absl::StrAppend(&rule, aligns[i] == Align::kLeft     ? " --- |"
                           : aligns[i] == Align::kCenter ? " :---: |"
                                                         : " ---: |");
  }
  for (const std::vector<Cell>& row : rows_) {
    body += '|';
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string text =
          table_text::CellText(row[i], columns_[i], table_text::Commas::kFrom10000);
      absl::StrAppend(&body, " ", escaped(text), " |");
    }
    body += '\n';
  }
  return absl::StrCat(head, "\n", rule, "\n", body);
}

std::string Table::Json() const {
  OrderedJson json = {{"name", name_}, {"title", title_}};
  json["columns"] = OrderedJson::array();
  for (const Column& column : columns_) {
    json["columns"].push_back(
        {{"name", column.name},
         {"unit", column.unit},
         {"decimals", column.decimals < 0 ? OrderedJson(nullptr) : OrderedJson(column.decimals)}});
  }
  json["rows"] = OrderedJson::array();
  for (const std::vector<Cell>& row : rows_) {
    OrderedJson cells = OrderedJson::array();
    for (const Cell& cell : row) cells.push_back(JsonOf(cell));
    json["rows"].push_back(std::move(cells));
  }
  return json.dump(1, ' ', /*ensure_ascii=*/false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace mase
