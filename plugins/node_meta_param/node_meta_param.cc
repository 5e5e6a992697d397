// Pass plugin `node_meta_param`: the notes on nodes as a file, written by `save_node_meta_param`
// and read by `load_node_meta_param`.
//
// Notes are what analyses know of nodes: classification, shapes, precisions, statistics.
// Quantization records are part of the net and not among them. Cost: O(notes).
#include "mase/pass/node_meta_param.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/node_meta_param/node_meta_param_options.pb.h"

namespace mase::plugins::node_meta_param {
namespace {

class SaveNodeMetaParamPass final : public Pass {
 public:
  using Options = SaveNodeMetaParamOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    MASE_RETURN_IF_ERROR(NodeMetaFormatOf(options.save_path()).status());
    return std::make_unique<SaveNodeMetaParamPass>(options);
  }

  explicit SaveNodeMetaParamPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const NodeMetaFormat format, NodeMetaFormatOf(options_.save_path()));
    MASE_RETURN_IF_ERROR(context.WriteArtifact(options_.save_path(), WriteNodeMeta(graph, format)));
    context.Print(absl::StrCat("Notes on nodes: ", options_.save_path()));
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

class LoadNodeMetaParamPass final : public Pass {
 public:
  using Options = LoadNodeMetaParamOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    if (options.load_path().empty()) {
      return absl::InvalidArgumentError("load_path is required: a .toml or .textproto file");
    }
    MASE_RETURN_IF_ERROR(NodeMetaFormatOf(options.load_path()).status());
    return std::make_unique<LoadNodeMetaParamPass>(options);
  }

  explicit LoadNodeMetaParamPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const NodeMetaFormat format, NodeMetaFormatOf(options_.load_path()));
    MASE_ASSIGN_OR_RETURN(const std::string text, context.ReadText(options_.load_path()));
    MASE_RETURN_IF_ERROR(ReadNodeMeta(text, options_.load_path(), format, graph));
    return PassResult::Unchanged();  // Notes are no part of the net.
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  MASE_RETURN_IF_ERROR(registrar.AddPass<SaveNodeMetaParamPass>(
      "save_node_meta_param", "Writes the notes on nodes as TOML or text proto.",
      {.kind = PassKind::kAnalysis, .needs = {"add_common_metadata"}}));
  return registrar.AddPass<LoadNodeMetaParamPass>("load_node_meta_param",
                                                  "Reads notes on nodes that were written.",
                                                  {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::node_meta_param

MASE_DEFINE_PLUGIN("node_meta_param", "1.0.0", mase::plugins::node_meta_param::Register)
