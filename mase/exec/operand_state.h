// Trained state of an operand: numbers that training finds for the format of a node's operand,
// beside the tensors of its module: the step of an lsq format (format/lsq.h), the bits after the
// point of an integer with a learned width (format/learned_width.h) or of each of its channels or
// weights (format/own_grids.h).
//
// State is kept twice: in the graph as fields of the operand's format, where tables, checkpoints
// and later runs read it, and while training in the executor's vector of parameters, where the
// optimizer moves it. These functions are the only way between the two; a format with another kind
// of trained numbers joins here. Widths of channels and weights have no fields: the graph gets
// their values, rounded, and a format that has all of these.
#ifndef MASE_EXEC_OPERAND_STATE_H_
#define MASE_EXEC_OPERAND_STATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "mase/tensor/shape.h"
#include "proto/format.pb.h"

namespace mase {

// Whether the format has state.
bool HasOperandState(const FormatProto& format);

// What the state is called among the parameters: "seq_blocks_2.weight_scale",
// "seq_blocks_2.weight_frac_width".
std::string OperandStateSlot(const Node& node, absl::string_view operand,
                             const FormatProto& format);

// The state of a format that has one number of it (no own grids), or what that starts from where
// nothing was trained yet.
float StateOf(const FormatProto& format);
// Gives the format that state. InvalidArgument if it cannot have it.
absl::Status SetState(float state, FormatProto& format);
// The gradient by the state: of `src` that was rounded, with `diff_dst` by what came of it.
float StateGradient(const FormatProto& format, absl::Span<const float> src,
                    absl::Span<const float> diff_dst);

struct OperandState {
  std::string slot;
  std::string node, operand;
  Shape shape = {1};
  std::string tensor;  // The weight that has own grids; else empty.

  // Writes what training starts from, or where it stands, to `values`, as many as `shape` has.
  // NotFound, naming the slot, if the graph has no such operand or its format no state.
  absl::Status Read(const Graph& graph, absl::Span<float> values) const;
  // The way back. With own grids it rounds the graph's tensor, which has been written, to them.
  // NotFound as Read; the errors of SetState and RoundToOwnGrids.
  absl::Status Write(absl::Span<const float> values, Graph& graph) const;
};

// All states of a graph that has passed CheckOperandStates, in graph order.
std::vector<OperandState> OperandStatesOf(const Graph& graph);

// InvalidArgument, naming node and operand: a tensor of the graph has a state's name; an operand
// with own grids is no tensor of its module (the widths of an activation are one for the tensor),
// or one that another node reads, too, as it is written back rounded.
absl::Status CheckOperandStates(const Graph& graph);

}  // namespace mase

#endif  // MASE_EXEC_OPERAND_STATE_H_
