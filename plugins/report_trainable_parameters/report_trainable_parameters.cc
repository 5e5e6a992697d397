// Pass plugin `report_trainable_parameters`: trained numbers of every module and of the net.
//
// A module is what comes before a "." in a tensor's name: "seq_blocks" and "seq_blocks.2" for
// "seq_blocks.2.weight". A module's count includes those within it; the total counts each tensor
// once. Table "parameters", result.total_trainable_parameters. Cost: O(length of tensors' names).
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::report_trainable_parameters {
namespace {

// Modules in the order of their first tensors, outer ones first.
std::vector<std::pair<std::string, int64_t>> CountByModule(const Graph& graph) {
  std::vector<std::pair<std::string, int64_t>> counts;
  absl::flat_hash_map<std::string, size_t> places;
  for (const GraphTensor& tensor : graph.tensors()) {
    if (tensor.buffer) continue;
    for (size_t dot = tensor.name.find('.'); dot != std::string::npos;
         dot = tensor.name.find('.', dot + 1)) {
      std::string module = tensor.name.substr(0, dot);
      const auto [place, added] = places.try_emplace(module, counts.size());
      if (added) counts.emplace_back(std::move(module), 0);
      counts[place->second].second += tensor.value.elements();
    }
  }
  return counts;
}

class ReportTrainableParametersPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<ReportTrainableParametersPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    Table table("parameters", "Trainable parameters", {{"Submodule"}, {"Trainable Parameters"}});
    for (const auto& [module, count] : CountByModule(graph)) table.AddRow({module, count});
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    const int64_t total = graph.parameter_count();
    (*context.result().mutable_fields())["total_trainable_parameters"].set_number_value(
        static_cast<double>(total));
    context.Print(absl::StrCat("Total Trainable Parameters: ", total));
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ReportTrainableParametersPass>(
      "report_trainable_parameters", "Counts the trained numbers of every module and of the net.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::report_trainable_parameters

MASE_DEFINE_PLUGIN("report_trainable_parameters", "1.0.0",
                   mase::plugins::report_trainable_parameters::Register)
