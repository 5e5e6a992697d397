// What writing and reading graph text share: the defaults that the text leaves out. Only
// graph_text_*.cc include this.
#ifndef MASE_GRAPH_GRAPH_TEXT_INTERNAL_H_
#define MASE_GRAPH_GRAPH_TEXT_INTERNAL_H_

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/ops.h"

namespace mase::graph_text {

struct KindWord {
  absl::string_view word;
  NodeKind kind;
};
inline constexpr KindWord kKindWords[] = {{"function", NodeKind::kCallFunction},
                                          {"method", NodeKind::kCallMethod},
                                          {"module", NodeKind::kCallModule},
                                          {"get_attr", NodeKind::kGetAttr}};

struct TypeWord {
  absl::string_view word;
  DType dtype;
};
inline constexpr TypeWord kTypeWords[] = {{"f32", DType::kFloat32}, {"f64", DType::kFloat64},
                                          {"i8", DType::kInt8},     {"u8", DType::kUInt8},
                                          {"i32", DType::kInt32},   {"i64", DType::kInt64},
                                          {"bool", DType::kBool},   {"bf16", DType::kBFloat16}};

inline NodeKind DefaultKind(const OpSchema& schema) {
  if (schema.name == ops::kPlaceholder) return NodeKind::kPlaceholder;
  if (schema.name == ops::kOutput) return NodeKind::kOutput;
  if (!schema.module_class.empty()) return NodeKind::kCallModule;
  return schema.function_type.empty() ? NodeKind::kCallMethod : NodeKind::kCallFunction;
}

inline absl::string_view DefaultTarget(NodeKind kind, absl::string_view name,
                                       absl::string_view op) {
  return kind == NodeKind::kCallFunction || kind == NodeKind::kCallMethod ? op : name;
}

// The tensors that a node of this kind owns. The rule must be able to read `attributes`.
inline std::vector<ParameterSpec> OwnedTensors(const OpSchema& schema, NodeKind kind,
                                               const Attributes& attributes) {
  if (kind != NodeKind::kCallModule || schema.parameter_rule == nullptr) return {};
  return schema.parameter_rule(attributes);
}

inline std::string DefaultTensor(absl::string_view target, absl::string_view parameter) {
  return absl::StrCat(target, ".", parameter);
}

// Whether a name may stand without quotes.
inline bool IsBare(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-' || c == '/';
}

}  // namespace mase::graph_text

#endif  // MASE_GRAPH_GRAPH_TEXT_INTERNAL_H_
