// Which operands of a node a rule quantises, and to what: MASE's tables of
// quantised operators and modules, as one function.
#ifndef MASE_PLUGINS_QUANTIZE_OPERANDS_H_
#define MASE_PLUGINS_QUANTIZE_OPERANDS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "plugins/quantize/quantize_options.pb.h"
#include "proto/format.pb.h"
#include "proto/metadata.pb.h"

namespace mase::plugins::quantize {

// The config of a rule, checked as far as it can be without a node.
struct RuleFormat {
  std::string name;  // As in the config; empty: leave nodes alone.
  std::string class_suffix;
  bool bypass = false;
  bool residual_input = true;  // binary_residual's data_in_residual_sign.
  std::map<std::string, FormatProto> given;  // By operand.

  bool leaves_alone() const { return name.empty(); }
};

// InvalidArgument or NotFound for a format or parameter that does not exist, a
// required one that is missing ("integer needs data_in_width"), a value out of range.
absl::StatusOr<RuleFormat> CheckConfig(const QuantizeConfig& config, absl::string_view semantics);

// Whether the rule has what every node of that op needs; a bias only nodes can tell.
absl::Status CheckOp(const RuleFormat& rule, absl::string_view op);

// The record for one node. InvalidArgument if an operand that the node has is not
// given, or the format does not exist for its op.
absl::StatusOr<Quantization> QuantizationFor(const Node& node, const RuleFormat& rule,
                                             const InferredShapes& shapes);

}  // namespace mase::plugins::quantize

#endif  // MASE_PLUGINS_QUANTIZE_OPERANDS_H_
