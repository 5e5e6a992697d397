// A plugin whose options are of two .proto files: both are linked into it.
#include <memory>
#include <utility>

#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "mase/plugin/testdata/two_protos_options.pb.h"

namespace mase::two_protos {
namespace {

class TwoProtosPass final : public Pass {
 public:
  using Options = TwoProtosOptions;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<TwoProtosPass>(options);
  }
  explicit TwoProtosPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    for (const Rule& rule : options_.rules()) {
      for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
        if (node->op() == rule.op()) context.Count(rule.op());
      }
    }
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<TwoProtosPass>("two_protos", "Counts the nodes of ops.",
                                          {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::two_protos

MASE_DEFINE_PLUGIN("two_protos", "1.0.0", mase::two_protos::Register)
