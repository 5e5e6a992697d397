// Plugin `@NAME@`: a transform pass. It sets weights near zero to zero.
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "@NAME@_options.pb.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"

namespace @NAME@ {

using mase::Graph;
using mase::Node;

class @CLASS@Pass final : public mase::Pass {
 public:
  using Options = @CLASS@Options;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<@CLASS@Pass>(options);
  }

  explicit @CLASS@Pass(Options options) : options_(std::move(options)) {}

  // Says truthfully whether it changed the graph: the pipeline compares.
  absl::StatusOr<mase::PassResult> Run(Graph& graph, mase::PassContext& context) const override {
    bool changed = false;
    for (const Node* node : graph.NodesInOrder()) {
      const std::string* weight = node->FindParameter("weight");
      if (weight == nullptr || !node->Is(mase::OpTrait::kWeighted)) continue;
      const int64_t zeroed = Zero(*graph.MutableTensor(*weight));
      context.Count("zeroed", static_cast<double>(zeroed));
      if (zeroed > 0) context.Note(*node, "pruned", std::to_string(zeroed) + " weights");
      changed |= zeroed > 0;
    }
    return changed ? mase::PassResult::Changed() : mase::PassResult::Unchanged();
  }

 private:
  int64_t Zero(mase::Tensor& weight) const {
    int64_t zeroed = 0;
    for (float& value : weight.mutable_data<float>()) {
      if (value == 0 || std::fabs(value) > options_.threshold()) continue;
      value = 0;
      ++zeroed;
    }
    return zeroed;
  }

  const Options options_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddPass<@CLASS@Pass>("@NAME@", "Sets weights near zero to zero.",
                                        {.kind = mase::PassKind::kTransform});
}

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
