// Widths: a net whose layers have other numbers of channels.
//
//   MASE_ASSIGN_OR_RETURN(Widths widths, Widths::Of(graph));
//   MASE_RETURN_IF_ERROR(widths.Set(*conv, 128));          // Twice as many.
//   MASE_RETURN_IF_ERROR(widths.Apply(/*keep=*/true, generator, graph));
//
// A layer's channels are the same ones in all that reads them: in norms and pools, in the layers
// after it, also behind flatten, and in what meets them in an add; depthwise convolutions have
// their input's, groups stay as many as they are (axis_terms.h, node_axes.h). All of these change
// together.
#ifndef MASE_MODEL_WIDTHS_H_
#define MASE_MODEL_WIDTHS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/base/random.h"
#include "mase/graph/graph.h"
#include "mase/model/node_axes.h"

namespace mase {

class Widths {
 public:
  // Of a graph that stays as it is until Apply. Errors of AxesOf.
  static absl::StatusOr<Widths> Of(const Graph& graph);

  // The channels that a layer gives: outputs of linear, channels of convolutions, numbers of
  // embeddings. 0 for nodes that have those of others.
  int64_t WidthOf(const Node& node) const;
  // Those that it is to have by what was asked for.
  int64_t NewWidthOf(const Node& node) const;
  // Those that a linear layer or convolution reads; else 0.
  int64_t InputWidthOf(const Node& node) const;
  // Why the layer's channels cannot change: "" if they can.
  std::string WhyFixed(const Node& node) const;
  // Whether channels of one are channels of the other.
  bool Share(const Node& a, const Node& b) const;

  // Gives the layer so many channels (>= 1), or as many to read. InvalidArgument, saying why but
  // not of which node: it has none, they are fixed, do not divide, a tensor of the net itself would
  // have to grow, or they are to be others by an earlier call, which is named with the node where
  // both meet.
  absl::Status Set(const Node& node, int64_t channels);
  absl::Status SetInput(const Node& node, int64_t channels);
  // Both of them, or, with the first error of the two, neither.
  absl::Status SetBoth(const Node& node, int64_t channels, int64_t input_channels);

  // Makes `graph`, which is the one of Of(), the net of these widths: attributes and tensors.
  // Layers that change get PyTorch's initial tensors, drawn in graph order; with `keep` those
  // channels that a layer had and has yet keep their numbers. Nothing is left to Set after.
  // InvalidArgument or ResourceExhausted, naming the node: it has a number format already, a tensor
  // of the net itself would have to grow, a tensor is too large; `graph` may be half done then.
  absl::Status Apply(bool keep, TorchGenerator& generator, Graph& graph);

 private:
  struct Request {
    std::string node;
    AxisTerms::Term term;
    int64_t channels;
  };

  explicit Widths(GraphAxes axes) : axes_(std::move(axes)), sizes_(axes_.terms.sizes()) {}

  absl::Status SetTerm(const Node& node, AxisTerms::Term term, int64_t channels);
  const NodeAxes& AxesOfNode(const Node& node) const {
    return axes_.nodes[static_cast<size_t>(node.id())];
  }

  GraphAxes axes_;
  std::vector<std::pair<std::string, Axes>> stored_;  // Tensors of the net itself, by their nodes.
  AxisTerms::Sizes sizes_;                            // That are asked for.
  std::vector<Request> requests_;
};

struct TakenWeights {
  int64_t taken = 0, of = 0;  // Tensors that are trained: running statistics come on top.
};

// Gives each tensor of `to` (weights, biases, running statistics) what the tensor of that name in
// `from`, a net of the same layers with other widths, has for the same channels; what only `to` has
// keeps its numbers. Tensors that `from` has not, or with another rank or element type, or whose
// channels are others, stay as they are. InvalidArgument if that is so of all that are trained;
// errors of AxesOf.
absl::StatusOr<TakenWeights> TakeWeights(const Graph& from, Graph& to);

}  // namespace mase

#endif  // MASE_MODEL_WIDTHS_H_
