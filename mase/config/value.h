// A settings file as read, before it is known what it means: a tree of tables,
// lists and scalars, each with its place in the text. TOML, JSON, text protos and
// the command line all become this, so that one engine (merge.h) serves them all.
#ifndef MASE_CONFIG_VALUE_H_
#define MASE_CONFIG_VALUE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace mase {

// Counted from 1; line 0 where there is none, as on the command line.
struct Position {
  int line = 0;
  int column = 0;
};

// Text of the command line that is understood only once its target is known:
// `--project 12` is a string, `--seed 12` a number.
struct RawText {
  std::string text;
};

struct ConfigValue;
struct Member;
using ValueList = std::vector<ConfigValue>;
using ValueTable = std::vector<Member>;  // In the order of the text; keys are unique.
using Null = std::monostate;             // "NA" in TOML, null in JSON: not set.

struct ConfigValue {
  std::variant<Null, bool, int64_t, double, std::string, RawText, ValueList, ValueTable> data;
  Position position;

  bool is_null() const { return std::holds_alternative<Null>(data); }
  const ValueTable* table() const { return std::get_if<ValueTable>(&data); }
  const ValueList* list() const { return std::get_if<ValueList>(&data); }
  const std::string* string() const { return std::get_if<std::string>(&data); }
};

struct Member {
  std::string key;
  Position position;  // Of the key.
  ConfigValue value;
};

// A string as a value: null if it is "NA".
ConfigValue StringOrNull(absl::string_view text, Position position);

// For messages and tables: 128, 1e-05, true, "adam", [1, 2], {a = 1}; None for
// null. At most about `max_bytes` long.
std::string ShowValue(const ConfigValue& value, int max_bytes = 60);

// The member with this key, or null.
const Member* FindMember(const ValueTable& table, absl::string_view key);

}  // namespace mase

#endif  // MASE_CONFIG_VALUE_H_
