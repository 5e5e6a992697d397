// TOML to ConfigValue.
#ifndef MASE_CONFIG_TOML_H_
#define MASE_CONFIG_TOML_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/value.h"

namespace mase {

// The table of a whole file, keys in the order of the text. The string "NA",
// MASE's way to write null, becomes null everywhere. Dates become strings. Errors
// start with "NAME:LINE:COL: ". See text_check.h for what is refused at once.
absl::StatusOr<ConfigValue> ParseToml(absl::string_view text, absl::string_view name);

// One value as it stands right of '=': 12, "text", [1, 2], {a = 1}. No position.
absl::StatusOr<ConfigValue> ParseTomlValue(absl::string_view text);

// "a.b.'c d'=text" as keys and the text behind the first '=' after them.
struct Assignment {
  std::vector<std::string> keys;
  std::string text;
};
absl::StatusOr<Assignment> ParseAssignment(absl::string_view text);

}  // namespace mase

#endif  // MASE_CONFIG_TOML_H_
