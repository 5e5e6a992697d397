// Pass plugin `compare_activations`: the net in float against the net with its number formats,
// layer by layer, on rows of the run's data.
//
// Both run on the same rows; every node's values are compared by their SQNR, 10 log10(sum x^2 /
// sum (x - q)^2). What a node adds is the noise of its result less that of its noisiest input, each
// as a share of its signal: an estimate, as noise may be amplified or cancel on the way. Prints the
// table, the first node below `least_sqnr_db`, and the config line that keeps the `worst` quantized
// nodes in float; writes compare_activations/layers.csv. Cost: two runs of the net on the rows.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/calibrate/samples.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/compare_activations/compare_activations_options.pb.h"

namespace mase::plugins::compare_activations {
namespace {

struct Layer {
  const Node* node = nullptr;
  QuantizationError error;
  double noise = 0;  // Of its result, as a share of the signal.
  double added = 0;  // The part of it that its inputs do not have.
};

double NoiseOf(double sqnr_db) { return std::isnan(sqnr_db) ? 0 : std::pow(10, -sqnr_db / 10); }

// Of what the node adds. One that adds nothing need not be exact: a ReLU cuts noise away.
Cell OwnSqnr(const Layer& layer) {
  if (layer.added > 0) return -10 * std::log10(layer.added);
  return layer.noise > 0 ? Cell("adds none") : SqnrCell(layer.error.sqnr_db);
}

std::vector<Layer> FindLayers(const Graph& graph, const std::vector<NodeError>& errors) {
  std::vector<Layer> layers;
  std::map<std::string, double> noise;
  for (const NodeError& each : errors) {
    Layer layer{graph.FindNode(each.node), each.error, NoiseOf(each.error.sqnr_db)};
    double before = 0;
    for (const Value* input : layer.node->inputs()) {
      const auto known = noise.find(input->producer()->name());
      if (known != noise.end()) before = std::max(before, known->second);
    }
    layer.added = std::max(layer.noise - before, 0.0);
    noise[each.node] = layer.noise;
    layers.push_back(layer);
  }
  return layers;
}

class CompareActivationsPass final : public Pass {
 public:
  using Options = CompareActivationsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<CompareActivationsPass>(options);
  }

  explicit CompareActivationsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    bool quantized = false;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      quantized |= node->quantization() != nullptr;
    }
    if (!quantized) {
      return absl::InvalidArgumentError(
          "no node has a number format: both nets would be the same; run quantize before");
    }
    MASE_ASSIGN_OR_RETURN(SampleRows rows, context.Samples(options_.rows(), options_.split()));
    SampleBatches samples = SampleBatches::Of(std::move(rows.inputs));
    samples.watch = [&context](int64_t done, int64_t all) {
      return context.Progress(done, all, "row");
    };
    MASE_ASSIGN_OR_RETURN(const std::vector<NodeError> errors, CompareWithFloat(graph, samples));
    const std::vector<Layer> layers = FindLayers(graph, errors);
    MASE_RETURN_IF_ERROR(context.AddTable(LayerTable(layers, rows.caption)));
    Summarize(layers, context);
    context.Count("nodes", static_cast<double>(layers.size()));
    return PassResult::Unchanged();
  }

 private:
  static Table LayerTable(const std::vector<Layer>& layers, const std::string& caption) {
    Table table("layers", absl::StrCat("Float against quantized on ", caption),
                {{"node"},
                 {.name = "op", .rank = 2},
                 {.name = "format", .rank = 1},
                 {"SQNR", "dB", 2},
                 {"own SQNR", "dB", 2},
                 {"max error"},
                 {.name = "mean error", .rank = 3}});
    for (const Layer& layer : layers) {
      const Quantization* record = layer.node->quantization();
      table.AddRow({layer.node->name(), std::string(layer.node->mase_op()),
                    record == nullptr ? Cell() : Cell(record->format()),
                    SqnrCell(layer.error.sqnr_db), OwnSqnr(layer), layer.error.max,
                    layer.error.mean});
    }
    return table;
  }

  // The first fall, and the layers that add most.
  void Summarize(const std::vector<Layer>& layers, PassContext& context) const {
    auto& fields = *context.result().mutable_fields();
    const double least = options_.least_sqnr_db();
    const auto fallen = absl::c_find_if(
        layers, [least](const Layer& layer) { return layer.error.sqnr_db < least; });
    if (fallen == layers.end()) {
      context.Print(absl::StrFormat("No layer falls below %g dB.", least));
    } else {
      context.Print(absl::StrFormat("The first layer below %g dB is %s (%s), at %.2f dB.", least,
                                    fallen->node->name(), fallen->node->mase_op(),
                                    fallen->error.sqnr_db));
      fields["first_fallen"].set_string_value(fallen->node->name());
    }
    const double last = layers.back().error.sqnr_db;
    if (std::isfinite(last)) fields["output_sqnr_db"].set_number_value(last);
    std::vector<Layer> worst;
    absl::c_copy_if(layers, std::back_inserter(worst), [](const Layer& layer) {
      return layer.node->quantization() != nullptr && layer.added > 0;
    });
    absl::c_stable_sort(worst, [](const Layer& a, const Layer& b) { return a.added > b.added; });
    if (worst.size() > static_cast<size_t>(options_.worst())) worst.resize(options_.worst());
    if (worst.empty()) return;
    std::vector<std::string> names;
    auto& list = *fields["worst"].mutable_list_value();
    for (const Layer& layer : worst) {
      names.push_back(absl::StrCat("\"", layer.node->name(), "\""));
      list.add_values()->set_string_value(layer.node->name());
    }
    context.Print(absl::StrCat(
        "To keep the ", names.size(), names.size() == 1 ? " layer" : " layers",
        " in float that add", names.size() == 1 ? "s" : "",
        " most:\n\n  [passes.quantize]\n  keep_float = [", absl::StrJoin(names, ", "), "]\n"));
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CompareActivationsPass>(
      "compare_activations", "Float against quantized, layer by layer, on rows of the data.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::compare_activations

MASE_DEFINE_PLUGIN("compare_activations", "1.0.0", mase::plugins::compare_activations::Register)
