#include "mase/config/toml.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/config/text_check.h"

namespace mase {
namespace {

Position At(const toml::source_position& source) {
  return {static_cast<int>(source.line), static_cast<int>(source.column)};
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

template <typename T>
std::string Printed(const T& date) {
  std::ostringstream out;
  out << date;
  return out.str();
}

// Recurses no deeper than CheckTomlNesting lets through twice: once for the
// headers' dots, once for the keys' below them.
absl::StatusOr<ConfigValue> Convert(const toml::node& node, int depth) {
  const Position position = At(node.source().begin);
  if (depth > limits::kMaxConfigNesting) {
    return absl::ResourceExhaustedError(
        absl::StrCat("nested more than ", limits::kMaxConfigNesting, " levels deep"));
  }
  if (const toml::table* table = node.as_table()) {
    ValueTable members;
    for (const auto& [key, child] : *table) {
      MASE_ASSIGN_OR_RETURN(ConfigValue value, Convert(child, depth + 1));
      members.push_back({std::string(key.str()), At(key.source().begin), std::move(value)});
    }
    // The library sorts keys by name; MASE runs passes in the order of the text.
    std::stable_sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
      return std::tie(a.position.line, a.position.column) <
             std::tie(b.position.line, b.position.column);
    });
    return ConfigValue{std::move(members), position};
  }
  if (const toml::array* array = node.as_array()) {
    ValueList list;
    for (const toml::node& child : *array) {
      MASE_ASSIGN_OR_RETURN(ConfigValue value, Convert(child, depth + 1));
      list.push_back(std::move(value));
    }
    return ConfigValue{std::move(list), position};
  }
  if (const auto* value = node.as_boolean()) return ConfigValue{value->get(), position};
  if (const auto* value = node.as_integer()) return ConfigValue{value->get(), position};
  if (const auto* value = node.as_floating_point()) return ConfigValue{value->get(), position};
  if (const auto* value = node.as_date()) return ConfigValue{Printed(value->get()), position};
  if (const auto* value = node.as_time()) return ConfigValue{Printed(value->get()), position};
  if (const auto* value = node.as_date_time()) return ConfigValue{Printed(value->get()), position};
  return StringOrNull(View(node.as_string()->get()), position);
}

}  // namespace

absl::StatusOr<ConfigValue> ParseToml(absl::string_view text, absl::string_view name) {
  MASE_RETURN_IF_ERROR(CheckEncoding(text, name));
  MASE_RETURN_IF_ERROR(CheckTomlNesting(text, name));
  const toml::parse_result parsed = toml::parse(std::string_view(text.data(), text.size()));
  if (!parsed) {
    return absl::InvalidArgumentError(absl::StrCat(Where(name, At(parsed.error().source().begin)),
                                                   ": ",
                                                   OnOneLine(View(parsed.error().description()))));
  }
  absl::StatusOr<ConfigValue> value = Convert(parsed.table(), 0);
  if (!value.ok()) {
    return absl::Status(value.status().code(), absl::StrCat(name, ": ", value.status().message()));
  }
  return value;
}

absl::StatusOr<ConfigValue> ParseTomlValue(absl::string_view text) {
  if (text.find('\n') != absl::string_view::npos) {
    return absl::InvalidArgumentError("more than one line");
  }
  MASE_ASSIGN_OR_RETURN(ConfigValue file, ParseToml(absl::StrCat("v = ", text), "value"));
  ConfigValue value = std::move(std::get<ValueTable>(file.data).at(0).value);
  value.position = Position();
  return value;
}

absl::StatusOr<Assignment> ParseAssignment(absl::string_view text) {
  char quote = 0;
  size_t equals = 0;
  while (equals < text.size() && (quote != 0 || text[equals] != '=')) {
    const char c = text[equals++];
    if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    }
  }
  if (equals == text.size() || text.find('\n') < equals) {
    return absl::InvalidArgumentError("want KEY=VALUE");
  }
  // The library reads the keys: they are a table header without the brackets.
  MASE_ASSIGN_OR_RETURN(ConfigValue file, ParseToml(absl::StrCat(text.substr(0, equals), "=0"), "key"));
  Assignment assignment;
  assignment.text = std::string(text.substr(equals + 1));
  MASE_RETURN_IF_ERROR(CheckEncoding(assignment.text, "value"));
  const ConfigValue* inner = &file;
  while (const ValueTable* table = inner->table()) {
    if (table->size() != 1) return absl::InvalidArgumentError("want KEY=VALUE");
    assignment.keys.push_back(table->front().key);
    inner = &table->front().value;
  }
  return assignment;
}

}  // namespace mase
