#include "mase/plugin/isolation_messages.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"

namespace mase {
namespace {

constexpr int kMaxDecimals = 20;

bool IsWord(absl::string_view name) {
  return !name.empty() && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
}

}  // namespace

StatusText TextOf(const absl::Status& status) {
  StatusText text;
  text.set_code(static_cast<int32_t>(status.code()));
  text.set_message(std::string(status.message()));
  return text;
}

absl::Status StatusOf(const StatusText& text) {
  const bool known = text.code() >= 0 && text.code() <= 16;  // absl::StatusCode's.
  return absl::Status(
      known ? static_cast<absl::StatusCode>(text.code()) : absl::StatusCode::kInternal,
      text.message());
}

SharedGraph ShareWith(const Graph& graph, const Graph& other) {
  SharedGraph shared;
  *shared.mutable_graph() = GraphToProto(graph, TensorData::kOmitted);
  for (TensorProto& tensor : *shared.mutable_graph()->mutable_tensor()) {
    const Tensor& value = graph.FindTensor(tensor.name())->value;
    const GraphTensor* same = other.FindTensor(tensor.name());
    if (same != nullptr && same->value.raw_data() == value.raw_data() &&
        same->value.dtype() == value.dtype() && same->value.shape() == value.shape()) {
      shared.add_same(tensor.name());
    } else {
      tensor.set_data(value.raw_data(), value.size_bytes());
    }
  }
  return shared;
}

absl::StatusOr<Graph> GraphOf(const SharedGraph& shared, const Graph& other) {
  MASE_ASSIGN_OR_RETURN(Graph graph, GraphFromProto(shared.graph()));
  for (const std::string& name : shared.same()) {
    const GraphTensor* made = graph.FindTensor(name);
    const GraphTensor* same = other.FindTensor(name);
    if (made == nullptr || same == nullptr || made->value.dtype() != same->value.dtype() ||
        made->value.shape() != same->value.shape()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no tensor ", Quoted(name), " of that kind was sent"));
    }
    graph.SetTensor(name, same->value, made->buffer);
  }
  return graph;
}

TableText TextOf(const Table& table) {
  TableText text;
  text.set_name(table.name());
  text.set_title(table.title());
  for (const Column& column : table.columns()) {
    TableText::Column& added = *text.add_column();
    added.set_name(column.name);
    added.set_unit(column.unit);
    added.set_decimals(column.decimals);
    added.set_signs(column.signs);
    added.set_rank(column.rank);
    added.set_align(static_cast<int32_t>(column.align));
  }
  for (const std::vector<Cell>& row : table.rows()) {
    TableText::Row& cells = *text.add_row();
    for (const Cell& cell : row) {
      TableText::Cell& added = *cells.add_cell();
      if (const auto* words = std::get_if<std::string>(&cell.value())) added.set_text(*words);
      if (const auto* whole = std::get_if<int64_t>(&cell.value())) added.set_whole(*whole);
      if (const auto* real = std::get_if<double>(&cell.value())) added.set_real(*real);
      if (const auto* truth = std::get_if<bool>(&cell.value())) added.set_truth(*truth);
    }
  }
  return text;
}

absl::StatusOr<Table> TableOf(const TableText& text) {
  std::vector<Column> columns;
  for (const TableText::Column& column : text.column()) {
    const bool known = column.align() >= 0 && column.align() <= static_cast<int>(Align::kRight);
    columns.push_back({.name = column.name(),
                       .unit = column.unit(),
                       .decimals = std::clamp(column.decimals(), -1, kMaxDecimals),
                       .signs = column.signs(),
                       .rank = column.rank(),
                       .align = known ? static_cast<Align>(column.align()) : Align::kAuto});
  }
  if (columns.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("table ", Quoted(text.name()), " has no columns"));
  }
  Table table(text.name(), text.title(), std::move(columns));
  for (const TableText::Row& row : text.row()) {
    if (row.cell_size() != text.column_size()) {
      return absl::InvalidArgumentError(absl::StrCat("table ", Quoted(text.name()),
                                                     " has a row of ", row.cell_size(),
                                                     " cells, want ", text.column_size()));
    }
    std::vector<Cell> cells;
    for (const TableText::Cell& cell : row.cell()) {
      switch (cell.value_case()) {
        case TableText::Cell::kText:
          cells.emplace_back(cell.text());
          break;
        case TableText::Cell::kWhole:
          cells.emplace_back(int64_t{cell.whole()});
          break;
        case TableText::Cell::kReal:
          cells.emplace_back(cell.real());
          break;
        case TableText::Cell::kTruth:
          cells.emplace_back(cell.truth());
          break;
        case TableText::Cell::VALUE_NOT_SET:
          cells.emplace_back();
          break;
      }
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

void WriteRecord(const PassRecord& record, RunReply& reply) {
  for (const auto& [counter, amount] : record.counts) (*reply.mutable_counts())[counter] = amount;
  for (const Decision& decision : record.decisions) {
    DecisionText& added = *reply.add_decision();
    added.set_node(decision.node);
    added.set_op(decision.op);
    added.set_decision(decision.decision);
    added.set_reason(decision.reason);
    added.set_option(decision.option);
  }
  *reply.mutable_result() = record.result;
  for (const std::string& warning : record.warnings) reply.add_warning(warning);
  for (const Table& table : record.tables) *reply.add_table() = TextOf(table);
}

absl::StatusOr<PassRecord> RecordOf(const RunReply& reply) {
  PassRecord record;
  record.counts.insert(reply.counts().begin(), reply.counts().end());
  for (const DecisionText& decision : reply.decision()) {
    record.decisions.push_back({decision.node(), decision.op(), decision.decision(),
                                decision.reason(), decision.option()});
  }
  record.result = reply.result();
  record.warnings.assign(reply.warning().begin(), reply.warning().end());
  for (const TableText& text : reply.table()) {
    MASE_ASSIGN_OR_RETURN(Table table, TableOf(text));
    if (!IsWord(table.name())) {
      return absl::InvalidArgumentError(absl::StrCat("table name ", Quoted(table.name())));
    }
    record.tables.push_back(std::move(table));
  }
  return record;
}

TensorProtos ProtosOf(const std::map<std::string, Tensor>& tensors) {
  TensorProtos protos;
  for (const auto& [name, tensor] : tensors) {
    *protos.Add() = TensorToProto(name, tensor, TensorData::kInline);
  }
  return protos;
}

absl::StatusOr<std::map<std::string, Tensor>> TensorsOf(const TensorProtos& protos) {
  std::map<std::string, Tensor> tensors;
  for (const TensorProto& proto : protos) {
    MASE_ASSIGN_OR_RETURN(tensors[proto.name()], TensorFromProto(proto));
  }
  return tensors;
}

}  // namespace mase
