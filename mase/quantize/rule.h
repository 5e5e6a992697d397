// From a rule's config to the record of a node: which operands MASE's quantized operators and
// modules round, by which keys, as one table for all that quantize.
#ifndef MASE_QUANTIZE_RULE_H_
#define MASE_QUANTIZE_RULE_H_

#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/format/family.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "proto/format.pb.h"
#include "proto/metadata.pb.h"
#include "proto/quantize.pb.h"

namespace mase {

// The config of a rule, checked as far as it can be without a node. `family` is that of `name`.
struct RuleFormat {
  std::string name;  // As in the config; empty: leave nodes alone.
  const Family* family = nullptr;
  FormatProto::Semantics semantics = FormatProto::EXACT;
  bool bypass = false;
  bool residual_input = true;                // binary_residual's data_in_residual_sign.
  std::map<std::string, FormatProto> given;  // By operand.
  std::set<std::string> left_float;          // Operands that the config names "NA".

  bool leaves_alone() const { return name.empty(); }
  bool reference() const { return semantics == FormatProto::REFERENCE; }
};

// InvalidArgument or NotFound for a format or parameter that does not exist, a
// required one that is missing ("integer needs data_in_width"), a value out of range.
absl::StatusOr<RuleFormat> CheckConfig(const QuantizeConfig& config,
                                       FormatProto::Semantics semantics);

// The rule that gives every operand the same format. InvalidArgument as Format::Create.
absl::StatusOr<RuleFormat> UniformRule(const FormatProto& format);

// Whether the rule has what every node of that op needs; a bias only nodes can tell.
absl::Status CheckOp(const RuleFormat& rule, absl::string_view op);

// The record for one node. InvalidArgument if an operand that the node has is not
// given, or the format does not exist for its op; under REFERENCE semantics also where
// MASE has no such op, or fails in it, or takes no tensor of that rank.
absl::StatusOr<Quantization> QuantizationFor(const Node& node, const RuleFormat& rule,
                                             const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_RULE_H_
