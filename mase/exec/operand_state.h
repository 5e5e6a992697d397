// Trained state of an operand: numbers that training finds for the format of a node's operand,
// beside the tensors of its module: the step of an lsq format (format/lsq.h), the bits after the
// point of an integer with a learned width (format/learned_width.h).
//
// State is kept twice: in the graph as fields of the operand's format, where tables, checkpoints
// and later runs read it, and while training in the executor's vector of parameters, where the
// optimizer moves it. These functions are the only way between the two; a format with another kind
// of trained numbers joins here.
#ifndef MASE_EXEC_OPERAND_STATE_H_
#define MASE_EXEC_OPERAND_STATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "proto/format.pb.h"

namespace mase {

// Whether the format has state. It is one number, so far.
bool HasOperandState(const FormatProto& format);

// What the state is called among the parameters: "seq_blocks_2.weight_scale",
// "seq_blocks_2.weight_frac_width".
std::string OperandStateSlot(const Node& node, absl::string_view operand,
                             const FormatProto& format);

// The state of a format that has one, or what it starts from where nothing was trained yet.
float StateOf(const FormatProto& format);
// Gives the format that state. InvalidArgument if it cannot have it.
absl::Status SetState(float state, FormatProto& format);
// The gradient by the state: of `src` that was rounded, with `diff_dst` by what came of it.
float StateGradient(const FormatProto& format, absl::Span<const float> src,
                    absl::Span<const float> diff_dst);

struct OperandState {
  std::string slot;
  std::string node, operand;

  // StateOf the graph's format. NotFound, naming the slot, if the graph has no such operand or its
  // format no state.
  absl::StatusOr<float> Read(const Graph& graph) const;
  // NotFound as Read; the errors of SetState.
  absl::Status Write(float value, Graph& graph) const;
};

// All states of a graph, in graph order.
std::vector<OperandState> OperandStatesOf(const Graph& graph);

}  // namespace mase

#endif  // MASE_EXEC_OPERAND_STATE_H_
