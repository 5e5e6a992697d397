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

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
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
    const std::string text = options_.compact() ? CompactTable(graph) : NodeTable(graph);
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

  std::string NodeTable(const Graph& graph) const {
    std::vector<Column> columns = {{"Node name"}, {"Fx Node op"}, {"Mase type"}, {"Mase op"}};
    if (Shows(Options::COMMON)) columns.push_back({"Common Param"});
    if (Shows(Options::SOFTWARE)) columns.push_back({"Software Param"});
    Table table(std::move(columns));
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      const NodeMetadata& metadata = node->metadata();
      std::vector<Cell> row = {node->name(), std::string(NodeKindName(node->kind())),
                               metadata.common().mase_type(), metadata.common().mase_op()};
      if (Shows(Options::COMMON)) row.push_back(CommonText(metadata.common()));
      if (Shows(Options::SOFTWARE)) row.push_back(SoftwareText(metadata.software()));
      table.AddRow(std::move(row));
    }
    return table.Grid();
  }

  std::string CompactTable(const Graph& graph) const {
    Table table({{"Node"}, {"Tensor"}, {"Type"}, {"Precision"}, {"Shape"}, {"Statistics"}});
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      const CommonMetadata& common = node->metadata().common();
      const SoftwareMetadata& software = node->metadata().software();
      const auto add = [&](const TensorMetadata& tensor, const auto& statistics) {
        const bool show = Shows(Options::COMMON);
        table.AddRow({node->name(), tensor.name(), show ? tensor.type() : "",
                      show ? absl::StrJoin(tensor.precision(), "/") : "",
                      show ? absl::StrCat("[", absl::StrJoin(tensor.shape(), ", "), "]") : "",
                      Shows(Options::SOFTWARE) ? FindStatistics(statistics, tensor.name()) : ""});
      };
      for (const TensorMetadata& tensor : common.args()) add(tensor, software.args());
      for (const TensorMetadata& tensor : common.results()) add(tensor, software.results());
    }
    return table.Text();
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
