// JSON to ConfigValue.
#ifndef MASE_CONFIG_JSON_H_
#define MASE_CONFIG_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/value.h"

namespace mase {

// The object of a whole file. Strict JSON: no comments, no trailing commas, no key
// twice. null and the string "NA" are null. Values carry the position of the key
// that they belong to. Errors start with "NAME:LINE:COL: "; ResourceExhausted
// beyond limits::kMaxConfigNesting.
absl::StatusOr<ConfigValue> ParseJson(absl::string_view text, absl::string_view name);

}  // namespace mase

#endif  // MASE_CONFIG_JSON_H_
