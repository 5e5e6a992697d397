// Keys of a seed: those of a quantize rule ("weight_width"), and those of a layer's width.
#ifndef MASE_SEARCH_SEED_KEYS_H_
#define MASE_SEARCH_SEED_KEYS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "mase/graph/graph.h"
#include "mase/sampler/parameter.h"
#include "proto/quantize.pb.h"

namespace mase {

inline constexpr char kFormatName[] = "name";

// Whether it is a key of the pass that changes widths.
bool IsWidthKey(absl::string_view key);

// "data_in_frac_width" is {"data_in", "frac_width"}; {"", key} for keys of no operand.
std::pair<absl::string_view, absl::string_view> SplitKey(absl::string_view key);

// Where a rule has a key. No field: nowhere.
struct KeyPlace {
  google::protobuf::Message* message;
  const google::protobuf::FieldDescriptor* field;
};
KeyPlace FindKey(absl::string_view key, QuantizeConfig& config);

bool HasOperand(const Node& node, absl::string_view operand);

// Whether a format, by the name that a config gives it, has a use for the key.
bool FormatKnows(const ParameterChoice& format, absl::string_view key);

// InvalidArgument for what no format has, as neither its name nor one of its keys.
absl::Status CheckSeedKey(absl::string_view key, const SearchParameter& parameter);

}  // namespace mase

#endif  // MASE_SEARCH_SEED_KEYS_H_
