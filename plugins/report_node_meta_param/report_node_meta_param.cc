// Pass plugin `report_node_meta_param`: the metadata of every node as a table.
//
// MASE's form has one row a node, with its dictionaries in Python's notation; the
// compact form has one row a tensor. Elements of tensors are not part of metadata,
// and lists of more than eight numbers are cut. Cost: O(nodes + tensors).
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"
#include "plugins/report_node_meta_param/report_node_meta_param_options.pb.h"

namespace mase::plugins::report_node_meta_param {
namespace {

constexpr int kMaxNumbersShown = 8;

using Entries = std::vector<std::pair<std::string, std::string>>;

std::string Dictionary(const Entries& entries, absl::string_view separator = ", ") {
  const auto entry = [](std::string* out, const auto& e) {
    absl::StrAppend(out, "'", e.first, "': ", e.second);
  };
  return absl::StrCat("{", absl::StrJoin(entries, separator, entry), "}");
}

// One entry a line, for a dictionary that begins behind `indent` characters.
std::string Lines(int indent, const Entries& entries) {
  return Dictionary(entries, absl::StrCat(",\n", std::string(indent + 1, ' ')));
}

std::string TensorText(const TensorMetadata& tensor) {
  return Dictionary({{"type", absl::StrCat("'", tensor.type(), "'")},
                     {"precision", absl::StrCat("[", absl::StrJoin(tensor.precision(), ", "), "]")},
                     {"shape", absl::StrCat("[", absl::StrJoin(tensor.shape(), ", "), "]")},
                     {"torch_dtype", absl::StrCat("torch.", tensor.torch_dtype())}});
}

std::string NumbersText(const StatisticValue& value) {
  const auto& numbers = value.number();
  if (numbers.empty()) return "'NA'";
  if (numbers.size() == 1) return absl::StrFormat("%g", numbers[0]);
  const int shown = std::min(numbers.size(), kMaxNumbersShown);
  const auto number = [](std::string* out, double x) { absl::StrAppendFormat(out, "%g", x); };
  return absl::StrCat(
      "[", absl::StrJoin(numbers.begin(), numbers.begin() + shown, ", ", number),
      shown < numbers.size() ? absl::StrCat(", ... ", numbers.size(), " values") : "", "]");
}

std::string StatisticsText(const TensorStatistics& tensor) {
  Entries statistics;
  for (const Statistic& statistic : tensor.stat()) {
    Entries values;
    for (const StatisticValue& value : statistic.value()) {
      values.emplace_back(value.key(), NumbersText(value));
    }
    statistics.emplace_back(statistic.name(), Dictionary(values));
  }
  return Dictionary({{"stat", Dictionary(statistics)}});
}

template <typename Tensors, typename Text>
std::string Section(absl::string_view key, const Tensors& tensors, const Text& text) {
  Entries lines;
  for (const auto& tensor : tensors) lines.emplace_back(tensor.name(), text(tensor));
  // Behind "{'args': ".
  return Lines(static_cast<int>(key.size()) + 5, lines);
}

std::string CommonText(const CommonMetadata& common) {
  return Lines(0, {{"mase_type", absl::StrCat("'", common.mase_type(), "'")},
                   {"mase_op", absl::StrCat("'", common.mase_op(), "'")},
                   {"args", Section("args", common.args(), TensorText)},
                   {"results", Section("results", common.results(), TensorText)}});
}

std::string SoftwareText(const SoftwareMetadata& software) {
  return Lines(0, {{"args", Section("args", software.args(), StatisticsText)},
                   {"results", Section("results", software.results(), StatisticsText)}});
}

// The statistics of a tensor of that name, "" if there are none.
std::string FindStatistics(const google::protobuf::RepeatedPtrField<TensorStatistics>& tensors,
                           absl::string_view name) {
  for (const TensorStatistics& tensor : tensors) {
    if (tensor.name() == name && tensor.stat_size() > 0) return StatisticsText(tensor);
  }
  return "";
}

class ReportNodeMetaParamPass final : public Pass {
 public:
  using Options = ReportNodeMetaParamOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<ReportNodeMetaParamPass>(options);
  }

  explicit ReportNodeMetaParamPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_RETURN_IF_ERROR(CheckNodes(graph));
    MASE_ASSIGN_OR_RETURN(const Table table, ShownColumns(options_.compact() ? CompactTable(graph)
                                                                             : NodeTable(graph)));
    const std::string text = options_.compact() ? table.Text() : table.Grid();
    context.Print("Inspecting graph [report_node_meta_param_analysis_pass]");
    context.Print(text);
    if (!options_.save_path().empty()) {
      MASE_RETURN_IF_ERROR(context.WriteArtifact(options_.save_path(), text));
    }
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }

 private:
  bool Shows(Options::Section section) const {
    return options_.which().empty() ||
           std::any_of(options_.which().begin(), options_.which().end(),
                       [&](int which) { return which == Options::ALL || which == section; });
  }

  bool Shows(const Node& node) const {
    return options_.nodes().empty() || absl::c_linear_search(options_.nodes(), node.name()) ||
           absl::c_linear_search(options_.nodes(), node.mase_op());
  }

  absl::Status CheckNodes(const Graph& graph) const {
    std::vector<std::string> known;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      known.push_back(node->name());
      known.emplace_back(node->mase_op());
    }
    for (const std::string& name : options_.nodes()) {
      if (absl::c_linear_search(known, name)) continue;
      return absl::NotFoundError(
          absl::StrCat("nodes: no node and no op is called '", name, "'", Suggest(name, known)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Table> ShownColumns(const Table& table) const {
    if (options_.columns().empty()) return table;
    std::vector<size_t> shown;
    std::vector<std::string> known;
    for (const Column& column : table.columns()) {
      const auto is_it = [&](const std::string& name) {
        return absl::EqualsIgnoreCase(name, column.name);
      };
      if (absl::c_any_of(options_.columns(), is_it)) shown.push_back(known.size());
      known.push_back(column.name);
    }
    for (const std::string& name : options_.columns()) {
      const auto is_it = [&](const std::string& column) {
        return absl::EqualsIgnoreCase(name, column);
      };
      if (absl::c_any_of(known, is_it)) continue;
      return absl::NotFoundError(
          absl::StrCat("columns: there is no '", name, "', only ", absl::StrJoin(known, ", ")));
    }
    std::vector<Column> columns;
    for (const size_t i : shown) columns.push_back(table.columns()[i]);
    Table result(std::move(columns));
    for (const std::vector<Cell>& row : table.rows()) {
      std::vector<Cell> cells;
      for (const size_t i : shown) cells.push_back(row[i]);
      result.AddRow(std::move(cells));
    }
    return result;
  }

  Table NodeTable(const Graph& graph) const {
    std::vector<Column> columns = {{"Node name"}, {"Fx Node op"}, {"Mase type"}, {"Mase op"}};
    if (Shows(Options::COMMON)) columns.push_back({"Common Param"});
    if (Shows(Options::SOFTWARE)) columns.push_back({"Software Param"});
    Table table(std::move(columns));
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (!Shows(*node)) continue;
      const NodeMetadata& metadata = node->metadata();
      std::vector<Cell> row = {node->name(), std::string(NodeKindName(node->kind())),
                               metadata.common().mase_type(), metadata.common().mase_op()};
      if (Shows(Options::COMMON)) row.push_back(CommonText(metadata.common()));
      if (Shows(Options::SOFTWARE)) row.push_back(SoftwareText(metadata.software()));
      table.AddRow(std::move(row));
    }
    return table;
  }

  Table CompactTable(const Graph& graph) const {
    Table table({{"Node"}, {"Tensor"}, {"Type"}, {"Precision"}, {"Shape"}, {"Statistics"}});
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (!Shows(*node)) continue;
      const CommonMetadata& common = node->metadata().common();
      const SoftwareMetadata& software = node->metadata().software();
      const auto add = [&](const TensorMetadata& tensor, const auto& statistics) {
        const bool show = Shows(Options::COMMON) && !tensor.type().empty();
        table.AddRow({node->name(), tensor.name(), show ? tensor.type() : "",
                      show ? absl::StrJoin(tensor.precision(), "/") : "",
                      show ? absl::StrCat("[", absl::StrJoin(tensor.shape(), ", "), "]") : "",
                      Shows(Options::SOFTWARE) ? FindStatistics(statistics, tensor.name()) : ""});
      };
      for (const TensorMetadata& tensor : common.args()) add(tensor, software.args());
      // Buffers have statistics alone.
      for (const TensorStatistics& tensor : software.args()) {
        if (tensor.stat_size() == 0 || FindArgument(common, tensor.name()) != nullptr) continue;
        TensorMetadata buffer;
        buffer.set_name(tensor.name());
        add(buffer, software.args());
      }
      for (const TensorMetadata& tensor : common.results()) add(tensor, software.results());
    }
    return table;
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ReportNodeMetaParamPass>(
      "report_node_meta_param", "Prints every node's metadata as a table.",
      {.kind = PassKind::kAnalysis, .needs = {"add_software_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::report_node_meta_param

MASE_DEFINE_PLUGIN("report_node_meta_param", "1.0.0",
                   mase::plugins::report_node_meta_param::Register)
