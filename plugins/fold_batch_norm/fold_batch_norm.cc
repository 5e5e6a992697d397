// Pass plugin `fold_batch_norm`: puts batch norms into the layers before them.
//
//   before: Linear(16, 5), BatchNorm1d(5)        after: Linear(16, 5)
//
// At rest a batch norm multiplies each channel by s = weight / sqrt(running_var + eps) and moves
// it:
//
//   W' = s W        b' = (b - running_mean) s + bias
//
// computed in double and rounded once. The layer gains a bias where it had none; the batch norm and
// its tensors go. A norm stays, with its reason in the report, where the layer's result or tensors
// have other readers, where it has no running statistics, where its channels are not the layer's
// outputs, and where either is quantized already. `conv_bn_fusion` is MASE's pass: convolutions
// alone. Both print the largest change of a result on rows of the run's data. Cost: O(nodes +
// elements of the weights), and two runs of the net on the rows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "plugins/fold_batch_norm/fold_batch_norm_options.pb.h"

namespace mase::plugins::fold_batch_norm {
namespace {

// How many nodes read each tensor.
absl::flat_hash_map<std::string, int> CountReaders(const Graph& graph) {
  absl::flat_hash_map<std::string, int> readers;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Parameter& parameter : node->parameters()) ++readers[parameter.tensor];
  }
  return readers;
}

// Why a batch norm cannot be put into the layer before it; empty if it can.
std::string WhyNot(const Node& norm, bool convolutions_alone,
                   const absl::flat_hash_map<std::string, int>& readers,
                   const InferredShapes& shapes) {
  const Node& layer = *norm.inputs()[0]->producer();
  const bool fits =
      convolutions_alone ? layer.Is(OpTrait::kConvolution) : layer.Is(OpTrait::kWeighted);
  if (!fits || layer.kind() != NodeKind::kCallModule) {
    return absl::StrCat(layer.name(), " before it is no ",
                        convolutions_alone ? "convolution" : "layer with a weight");
  }
  if (!norm.attributes().Bool("track_running_stats")) return "it has no running statistics";
  if (layer.outputs()[0]->uses().size() > 1) {
    return absl::StrCat("others read ", layer.name(), ", too");
  }
  for (const Parameter& parameter : layer.parameters()) {
    if (readers.at(parameter.tensor) > 1) {
      return absl::StrCat("others read ", parameter.tensor, ", too");
    }
  }
  if (norm.quantization() != nullptr) return "it is quantized: fold before quantize";
  if (layer.quantization() != nullptr) {
    return absl::StrCat(layer.name(), " is quantized: fold before quantize");
  }
  // Of a linear layer the outputs are the last axis, of a batch norm the channels axis 1.
  const int rank = shapes.shape(layer.outputs()[0]).rank();
  if (layer.op() == ops::kLinear && rank != 2) {
    return absl::StrCat("its channels are not the outputs of ", layer.name());
  }
  return "";
}

// What a batch norm does to a channel: x becomes scale x + shift.
struct Affine {
  double scale = 1, shift = 0;
};

std::vector<Affine> AffineOf(const Graph& graph, const Node& norm) {
  const auto numbers = [&](absl::string_view name) -> absl::Span<const float> {
    const std::string* tensor = norm.FindParameter(name);
    return tensor == nullptr ? absl::Span<const float>()
                             : graph.FindTensor(*tensor)->value.data<float>();
  };
  const auto mean = numbers("running_mean"), variance = numbers("running_var");
  const auto weight = numbers("weight"), bias = numbers("bias");
  const double eps = norm.attributes().Float("eps");
  std::vector<Affine> channels(mean.size());
  for (size_t i = 0; i < channels.size(); ++i) {
    const double gamma = weight.empty() ? 1 : weight[i], beta = bias.empty() ? 0 : bias[i];
    channels[i].scale = gamma / std::sqrt(static_cast<double>(variance[i]) + eps);
    channels[i].shift = beta - mean[i] * channels[i].scale;
  }
  return channels;
}

// Multiplies each output's weights by its scale.
void ScaleWeight(const Node& layer, const std::vector<Affine>& channels, Tensor& weight) {
  const absl::Span<float> elements = weight.mutable_data<float>();
  const auto outputs = static_cast<int64_t>(channels.size());
  // [outputs, ...]; transposed [inputs, outputs / groups, kernel...], inputs in groups.
  const bool first = layer.Is(OpTrait::kOutputsFirst);
  const int64_t groups = first ? 1 : layer.attributes().Int("groups");
  const int64_t inputs = first ? 1 : weight.shape()[0];
  const int64_t group_outputs = outputs / groups;
  const int64_t inner = static_cast<int64_t>(elements.size()) / (inputs * group_outputs);
  size_t at = 0;
  for (int64_t input = 0; input < inputs; ++input) {
    const int64_t group = input * groups / inputs;
    for (int64_t output = 0; output < group_outputs; ++output) {
      const double scale = channels[group * group_outputs + output].scale;
      for (int64_t i = 0; i < inner; ++i, ++at) {
        elements[at] = static_cast<float>(elements[at] * scale);
      }
    }
  }
}

// A name for the bias of a layer that has none: that of its weight with another end.
std::string BiasName(const Graph& graph, const Node& layer) {
  const absl::string_view weight = *layer.FindParameter(operands::kWeight);
  std::string name = absl::StrCat(absl::StripSuffix(weight, operands::kWeight), operands::kBias);
  while (graph.FindTensor(name) != nullptr) name += '_';
  return name;
}

absl::Status Fold(Node* norm, Graph& graph) {
  Node* layer = norm->inputs()[0]->producer();
  const std::vector<Affine> channels = AffineOf(graph, *norm);
  ScaleWeight(*layer, channels, *graph.MutableTensor(*layer->FindParameter(operands::kWeight)));
  const std::string* old_bias = layer->FindParameter(operands::kBias);
  Tensor bias(DType::kFloat32, {static_cast<int64_t>(channels.size())});
  const absl::Span<float> numbers = bias.mutable_data<float>();
  for (size_t i = 0; i < channels.size(); ++i) {
    const double old =
        old_bias == nullptr ? 0 : graph.FindTensor(*old_bias)->value.data<float>()[i];
    numbers[i] = static_cast<float>(old * channels[i].scale + channels[i].shift);
  }
  const std::string name = old_bias == nullptr ? BiasName(graph, *layer) : *old_bias;
  graph.SetTensor(name, std::move(bias), /*buffer=*/false);
  MASE_RETURN_IF_ERROR(graph.SetAttribute(layer, "bias", true));
  MASE_RETURN_IF_ERROR(graph.SetParameter(layer, operands::kBias, name));
  graph.ReplaceAllUses(norm->outputs()[0], layer->outputs()[0]);
  return graph.EraseNode(norm);
}

// Folds the norms and removes those of their tensors that no others read.
absl::Status FoldAll(const std::vector<Node*>& norms, Graph& graph) {
  std::vector<std::string> tensors;
  for (Node* norm : norms) {
    for (const Parameter& parameter : norm->parameters()) tensors.push_back(parameter.tensor);
    MASE_RETURN_IF_ERROR(Fold(norm, graph));
  }
  const absl::flat_hash_map<std::string, int> readers = CountReaders(graph);
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                               [&](const std::string& name) { return readers.contains(name); }),
                tensors.end());
  return graph.RemoveTensors(tensors);
}

// Results of a net on samples.
absl::StatusOr<std::vector<float>> Results(const Graph& graph, const SampleRows& samples,
                                           PassContext& context) {
  MASE_ASSIGN_OR_RETURN(const auto values, context.RunNet(graph, samples.inputs));
  std::vector<float> results;
  for (const auto& [node, value] : values) {
    const absl::Span<const float> numbers = value.data<float>();
    results.insert(results.end(), numbers.begin(), numbers.end());
  }
  return results;
}

class FoldPass : public Pass {
 public:
  using Options = FoldBatchNormOptions;

  FoldPass(Options options, bool convolutions_alone)
      : options_(std::move(options)), convolutions_alone_(convolutions_alone) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, BatchOf(graph)));
    const absl::flat_hash_map<std::string, int> readers = CountReaders(graph);
    Table table("batch_norms", "Batch norms", {{"node"}, {"decision"}, {"reason"}});
    std::vector<Node*> folded;
    for (Node* node : graph.NodesInOrder()) {
      if (!node->Is(OpTrait::kBatchNorm)) continue;
      const std::string why_not = WhyNot(*node, convolutions_alone_, readers, shapes);
      const std::string decision = why_not.empty() ? "folded" : "kept";
      const std::string reason =
          why_not.empty() ? absl::StrCat("into ", node->inputs()[0]->producer()->name()) : why_not;
      context.Note(*node, decision, reason);
      context.Count(absl::StrCat("batch_norms_", decision));
      table.AddRow({node->name(), decision, reason});
      if (why_not.empty()) folded.push_back(node);
    }
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    if (folded.empty()) return PassResult::Unchanged();
    const absl::StatusOr<SampleRows> samples = context.Samples(options_.rows());
    std::vector<float> before;
    if (samples.ok()) {
      MASE_ASSIGN_OR_RETURN(before, Results(graph, *samples, context));
    } else if (!absl::IsUnimplemented(samples.status())) {
      return samples.status();
    }
    MASE_RETURN_IF_ERROR(FoldAll(folded, graph));
    if (samples.ok()) {
      MASE_ASSIGN_OR_RETURN(const std::vector<float> after, Results(graph, *samples, context));
      Compare(before, after, *samples, context);
    } else {
      context.Print("No data: the results before and after were not compared.");
    }
    return PassResult::Changed();
  }

 private:
  static void Compare(const std::vector<float>& before, const std::vector<float>& after,
                      const SampleRows& samples, PassContext& context) {
    double change = 0, largest = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const double distance = std::abs(static_cast<double>(after[i]) - before[i]);
      if (!(distance <= change)) change = distance;  // A NaN, too.
      largest = std::max(largest, std::abs(static_cast<double>(before[i])));
    }
    auto& fields = *context.result().mutable_fields();
    fields["largest_change"].set_number_value(change);
    fields["largest_result"].set_number_value(largest);
    context.Print(absl::StrCat("Largest change of a result: ", change, ", of results up to ",
                               largest, ", on ", samples.caption));
  }

  const Options options_;
  const bool convolutions_alone_;
};

class FoldBatchNormPass final : public FoldPass {
 public:
  explicit FoldBatchNormPass(Options options) : FoldPass(std::move(options), false) {}
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<FoldBatchNormPass>(options);
  }
};

class ConvBnFusionPass final : public FoldPass {
 public:
  explicit ConvBnFusionPass(Options options) : FoldPass(std::move(options), true) {}
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<ConvBnFusionPass>(options);
  }
};

absl::Status Register(PassRegistrar& registrar) {
  MASE_RETURN_IF_ERROR(registrar.AddPass<FoldBatchNormPass>(
      "fold_batch_norm", "Puts batch norms into the layers before them."));
  return registrar.AddPass<ConvBnFusionPass>("conv_bn_fusion",
                                             "Puts batch norms into the convolutions before them.");
}

}  // namespace
}  // namespace mase::plugins::fold_batch_norm

MASE_DEFINE_PLUGIN("fold_batch_norm", "1.0.0", mase::plugins::fold_batch_norm::Register,
                   .owner = "MASE in C++", .status = "stable")
