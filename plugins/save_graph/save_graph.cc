// Pass plugin `save_graph`: keeps the net as it is between two passes, and `load_graph` takes one
// up.
//
// save_graph writes FOLDER/graph.safetensors and FOLDER/node_meta_param.toml into the run
// directory, at the run's end. load_graph replaces the whole net: nodes, notes, records and
// tensors; its inputs and outputs must have the shapes of the net that goes. Nothing of a file is
// run as code.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/shape_inference.h"
#include "mase/pass/node_meta_param.h"
#include "mase/plugin/plugin.h"
#include "plugins/save_graph/save_graph_options.pb.h"

namespace mase::plugins::save_graph {
namespace {

constexpr char kGraphFile[] = "graph.safetensors";
constexpr char kNotesFile[] = "node_meta_param.toml";

class SaveGraphPass final : public Pass {
 public:
  using Options = SaveGraphOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<SaveGraphPass>(options);
  }

  explicit SaveGraphPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const std::string folder = absl::StrCat(options_.save_dir(), "/");
    MASE_RETURN_IF_ERROR(context.WriteGraph(folder + kGraphFile, graph));
    MASE_RETURN_IF_ERROR(
        context.WriteArtifact(folder + kNotesFile, WriteNodeMeta(graph, NodeMetaFormat::kToml)));
    context.Print(absl::StrCat("Net kept as ", folder, kGraphFile));
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

// Whether both nets read and give the same shapes, or how they differ.
absl::Status CheckSameFrame(const Graph& old_graph, const Graph& new_graph) {
  const int64_t rows = BatchOf(old_graph);
  MASE_ASSIGN_OR_RETURN(const InferredShapes before, InferShapesFor(old_graph, rows));
  MASE_ASSIGN_OR_RETURN(const InferredShapes after, InferShapesFor(new_graph, rows));
  const auto frame = [](const Graph& graph, const InferredShapes& shapes) {
    std::string text;
    for (const Node* node : graph.placeholders()) {
      absl::StrAppend(&text, shapes.shape(node->outputs()[0]).ToString(), " ");
    }
    absl::StrAppend(&text, "->");
    for (const Value* value : graph.output()->inputs()) {
      absl::StrAppend(&text, " ", shapes.shape(value).ToString());
    }
    return text;
  };
  const std::string is = frame(new_graph, after), was = frame(old_graph, before);
  if (is == was) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("net '", new_graph.name(), "' makes ", is, ", but the run's net makes ", was));
}

class LoadGraphPass final : public Pass {
 public:
  using Options = LoadGraphOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    if (options.load_dir().empty()) {
      return absl::InvalidArgumentError(
          "load_dir is required: a folder that save_graph wrote, or a checkpoint");
    }
    return std::make_unique<LoadGraphPass>(options);
  }

  explicit LoadGraphPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    absl::StatusOr<Graph> loaded = Load(context);
    if (!loaded.ok()) return loaded.status();
    MASE_RETURN_IF_ERROR(CheckSameFrame(graph, *loaded));
    MASE_RETURN_IF_ERROR(InferShapes(*loaded, BatchOf(graph)));
    const bool changed = HashGraph(*loaded) != HashGraph(graph);
    graph = *std::move(loaded);
    context.Print(absl::StrCat("Net '", graph.name(), "' taken from ", options_.load_dir()));
    return changed ? PassResult::Changed() : PassResult::Unchanged();
  }

 private:
  // From the file in save_graph's folder, or whatever else the path stands for.
  absl::StatusOr<Graph> Load(PassContext& context) const {
    const std::string& path = options_.load_dir();
    if (absl::EndsWith(path, ".safetensors")) return context.ReadGraph(path);
    absl::StatusOr<Graph> saved = context.ReadGraph(absl::StrCat(path, "/", kGraphFile));
    return absl::IsNotFound(saved.status()) ? context.ReadGraph(path) : std::move(saved);
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  MASE_RETURN_IF_ERROR(registrar.AddPass<SaveGraphPass>(
      "save_graph", "Keeps the net as it is between two passes.",
      {.kind = PassKind::kAnalysis, .aliases = {"save_mase_graph"}}));
  return registrar.AddPass<LoadGraphPass>("load_graph", "Goes on with a net that was kept.",
                                          {.aliases = {"load_mase_graph"}});
}

}  // namespace
}  // namespace mase::plugins::save_graph

MASE_DEFINE_PLUGIN("save_graph", "1.0.0", mase::plugins::save_graph::Register)
