// Pass plugin `natural_sparsity`: the share of zeros in layers' weights and inputs.
//
// Linear layers and convolutions. Weights as they are stored; inputs as they arrive at the layer
// on rows of the run's data. Zeros are counted, of either sign. (MASE's pass of this name gives the
// share of what is not zero.) Table "sparsity"; result has avg_weight and avg_activation, over
// elements. Cost: a run of the net on the rows.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/executor.h"
#include "mase/exec/run_net.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/natural_sparsity/natural_sparsity_options.pb.h"

namespace mase::plugins::natural_sparsity {
namespace {

constexpr int64_t kBatch = 256;  // Rows at a time.

struct Zeros {
  int64_t zeros = 0, elements = 0;

  void Add(absl::Span<const float> values) {
    zeros += absl::c_count(values, 0.0f);
    elements += static_cast<int64_t>(values.size());
  }
  void Add(const Zeros& other) {
    zeros += other.zeros;
    elements += other.elements;
  }
  double share() const {
    return elements == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(elements);
  }
};

class NaturalSparsityPass final : public Pass {
 public:
  using Options = NaturalSparsityOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<NaturalSparsityPass>(options);
  }

  explicit NaturalSparsityPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    std::vector<const Node*> layers;
    std::vector<std::string> makers;  // Of the layers' inputs.
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (!node->Is(OpTrait::kWeighted)) continue;
      layers.push_back(node);
      makers.push_back(node->inputs()[0]->producer()->name());
    }
    if (layers.empty()) context.Warn("the net has no linear layer and no convolution");
    MASE_ASSIGN_OR_RETURN(const SampleRows samples, context.Samples(options_.rows()));
    MASE_ASSIGN_OR_RETURN(const auto activations,
                          CountActivations(graph, makers, samples, context));
    Table table("sparsity", absl::StrCat("Zeros, inputs on ", samples.caption),
                {{"node"},
                 {.name = "weight zeros", .rank = 1},
                 {.name = "weight elements", .rank = 1},
                 {"weight sparsity"},
                 {.name = "input zeros", .rank = 1},
                 {.name = "input elements", .rank = 1},
                 {"input sparsity"}});
    Zeros all_weights, all_inputs;
    for (size_t i = 0; i < layers.size(); ++i) {
      Zeros weight;
      weight.Add(
          graph.FindTensor(*layers[i]->FindParameter(operands::kWeight))->value.data<float>());
      const Zeros& input = activations.at(makers[i]);
      table.AddRow({layers[i]->name(), weight.zeros, weight.elements, weight.share(), input.zeros,
                    input.elements, input.share()});
      all_weights.Add(weight);
      all_inputs.Add(input);
    }
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    auto& fields = *context.result().mutable_fields();
    fields["avg_weight"].set_number_value(all_weights.share());
    fields["avg_activation"].set_number_value(all_inputs.share());
    context.Print(absl::StrFormat("Share of zeros: weights %.4f, inputs of layers %.4f",
                                  all_weights.share(), all_inputs.share()));
    return PassResult::Unchanged();
  }

 private:
  // Zeros of the nodes' results on the samples, by node.
  static absl::StatusOr<absl::flat_hash_map<std::string, Zeros>> CountActivations(
      const Graph& graph, const std::vector<std::string>& nodes, const SampleRows& samples,
      PassContext& context) {
    absl::flat_hash_map<std::string, Zeros> counts;
    for (const std::string& node : nodes) counts[node];
    std::vector<std::string> taps;
    for (const auto& [node, zeros] : counts) taps.push_back(node);
    std::sort(taps.begin(), taps.end());
    MASE_ASSIGN_OR_RETURN(const auto executor,
                          Executor::Create(graph, {.max_rows = kBatch, .taps = taps}));
    MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples.inputs));
    const int64_t rows = inputs.empty() ? 0 : inputs[0].shape()[0];
    MASE_RETURN_IF_ERROR(RunNet(*executor, inputs, RowBatches::OfSize(rows, kBatch),
                                [&](int64_t first_row, int64_t batch_rows) -> absl::Status {
                                  for (const std::string& node : taps) {
                                    MASE_ASSIGN_OR_RETURN(const absl::Span<const float> values,
                                                          executor->NodeValue(node));
                                    counts[node].Add(values);
                                  }
                                  return context.Progress(first_row + batch_rows, rows, "row");
                                }));
    return counts;
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<NaturalSparsityPass>(
      "natural_sparsity", "Counts the zeros of layers' weights and inputs.",
      {.kind = PassKind::kAnalysis, .aliases = {"add_natural_sparsity"}});
}

}  // namespace
}  // namespace mase::plugins::natural_sparsity

MASE_DEFINE_PLUGIN("natural_sparsity", "1.0.0", mase::plugins::natural_sparsity::Register)
