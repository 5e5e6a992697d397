#include "mase/format/plugin_values.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

constexpr double kLeftOut = std::numeric_limits<double>::quiet_NaN();

absl::Status TooMany(const Family& family, size_t values) {
  return absl::InvalidArgumentError(
      absl::StrCat(values, " values, but ", family.name, " has ", family.parameters.size()));
}

absl::Status ReadValue(absl::string_view name, absl::string_view text, double* value) {
  if (text == "None") {
    *value = kLeftOut;
  } else if (text == "true" || text == "false") {
    *value = text == "true" ? 1 : 0;
  } else if (!absl::SimpleAtod(text, value)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " '", text, "': want a number"));
  }
  return absl::OkStatus();
}

// "{ width: 8 es: 1 }"
absl::Status ReadNamed(const Family& family, absl::string_view text, PluginFormat* format) {
  const size_t end = text.find('}');
  if (end == absl::string_view::npos) return absl::InvalidArgumentError("want a } at the end");
  const std::vector<absl::string_view> words =
      absl::StrSplit(text.substr(1, end - 1), absl::ByAnyChar(": \t\r\n,"), absl::SkipEmpty());
  std::vector<double> values(family.parameters.size(), kLeftOut);
  for (size_t i = 0; i < words.size(); i += 2) {
    std::vector<std::string> names;
    size_t at = 0;
    for (; at < values.size() && family.parameters[at].name != words[i]; ++at) {
      names.emplace_back(family.parameters[at].name);
    }
    if (at == values.size()) {
      return absl::InvalidArgumentError(absl::StrCat(family.name, " has no parameter ", words[i],
                                                     Suggest(std::string(words[i]), names)));
    }
    if (i + 1 == words.size()) {
      return absl::InvalidArgumentError(absl::StrCat(words[i], ": want a number behind it"));
    }
    const absl::Status status = ReadValue(words[i], words[i + 1], &values[at]);
    if (!status.ok()) return status;
  }
  while (!values.empty() && std::isnan(values.back())) values.pop_back();
  for (const double value : values) format->add_value(value);
  return absl::OkStatus();
}

}  // namespace

absl::Status FillPluginValues(const Family& family, PluginFormat* format) {
  const size_t given = format->value_size();
  if (given > family.parameters.size()) return TooMany(family, given);
  for (size_t i = 0; i < family.parameters.size(); ++i) {
    const FamilyParameter& parameter = family.parameters[i];
    if (i >= given) format->add_value(kLeftOut);
    double& value = *format->mutable_value()->Mutable(static_cast<int>(i));
    if (std::isnan(value) && parameter.need == FamilyParameter::kRequired) {
      return absl::InvalidArgumentError(absl::StrCat(family.name, " needs ", parameter.name));
    }
    if (std::isnan(value)) value = parameter.fallback;
    if (std::isinf(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat(family.name, ": ", parameter.name, " is infinite"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadPluginValues(const Family& family, absl::string_view text, PluginFormat* format) {
  if (absl::StartsWith(text, "{")) return ReadNamed(family, text, format);
  const std::vector<absl::string_view> values = absl::StrSplit(text, '/');
  if (values.size() > family.parameters.size()) return TooMany(family, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    double value = kLeftOut;
    const absl::Status status = ReadValue(family.parameters[i].name, values[i], &value);
    if (!status.ok()) return status;
    format->add_value(value);
  }
  return absl::OkStatus();
}

std::vector<std::string> PluginValueTexts(const PluginFormat& format) {
  std::vector<std::string> texts;
  for (const double value : format.value()) {
    texts.push_back(std::isnan(value) ? "None" : absl::StrCat(value));
  }
  return texts;
}

}  // namespace mase
