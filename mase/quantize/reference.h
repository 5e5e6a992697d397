// What of REFERENCE semantics belongs to ops and not to formats: what MASE can quantise at all, and
// where its quantised modules compute something else than the float ones.
#ifndef MASE_QUANTIZE_REFERENCE_H_
#define MASE_QUANTIZE_REFERENCE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"

namespace mase {

// Whether the node's record asks for MASE's own arithmetic.
bool IsReference(const Node& node);

// InvalidArgument, saying what there is instead, where MASE has no such op in this format, or has
// one that only fails. `format` is a format's name or alias.
absl::Status CheckReference(const Node& node, absl::string_view format,
                            const InferredShapes& shapes);

// The attributes by which the node computes: its own, but MASE's quantised layer_norm has
// eps = 1e-5 whatever it is told.
Attributes EffectiveAttributes(const Node& node);

// Whether the node computes without this tensor of its module: MASE's quantised group_norm drops
// its weight and bias.
bool IgnoresTensor(const Node& node, absl::string_view tensor);

}  // namespace mase

#endif  // MASE_QUANTIZE_REFERENCE_H_
