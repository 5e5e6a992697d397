// Pass plugin `plot_graph`: the net as a picture that any browser shows.
//
// A box for every node with its name, type, and the shape of its result; its colour is that of its
// formats, which a legend explains. Arrows are values. Laid out by Graphviz: seconds for a thousand
// nodes.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/diagram.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/net_picture.h"
#include "plugins/plot_graph/plot_graph_options.pb.h"

namespace mase::plugins::plot_graph {
namespace {

class PlotGraphPass final : public Pass {
 public:
  using Options = PlotGraphOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<PlotGraphPass>(options);
  }

  explicit PlotGraphPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, BatchOf(graph)));
    MASE_ASSIGN_OR_RETURN(const std::string svg, DiagramAsSvg(NetDiagram(graph, shapes)));
    MASE_RETURN_IF_ERROR(context.WriteArtifact(options_.file_name(), svg));
    context.Print(absl::StrCat("Picture of the net: ", options_.file_name()));
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<PlotGraphPass>("plot_graph", "Draws the net, coloured by formats.",
                                          {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::plot_graph

MASE_DEFINE_PLUGIN("plot_graph", "1.0.0", mase::plugins::plot_graph::Register)
