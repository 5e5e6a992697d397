// A plugin that is more than one source: a library of its own, and options in two .proto files. It
// counts the nodes of each op that it is told.
#include <memory>
#include <utility>

#include "counting.h"
#include "mase/plugin/plugin.h"
#include "two_parts_options.pb.h"

namespace two_parts {

class TwoPartsPass final : public mase::Pass {
 public:
  using Options = TwoPartsOptions;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<TwoPartsPass>(options);
  }
  explicit TwoPartsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<mase::PassResult> Run(mase::Graph& graph,
                                       mase::PassContext& context) const override {
    for (const Rule& rule : options_.rules()) {
      context.Count("nodes_" + rule.op(), CountNodes(graph, rule.op()));
    }
    return mase::PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddPass<TwoPartsPass>("two_parts", "Counts the nodes of ops.",
                                         {.kind = mase::PassKind::kAnalysis});
}

}  // namespace two_parts

MASE_DEFINE_PLUGIN("two_parts", "1.0.0", two_parts::Register)
