#include "mase/config/scalar.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/config/toml.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

absl::Status WantButGot(absl::string_view want, const ConfigValue& value) {
  return absl::InvalidArgumentError(absl::StrCat("want ", want, ", got ", ShowValue(value)));
}

// Calls `set` for a singular field and `add` for a repeated one.
template <typename T>
void Store(Message& message, const FieldDescriptor& field, T value,
           void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
           void (Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
  const auto method = field.is_repeated() ? add : set;
  (message.GetReflection()->*method)(&message, &field, std::move(value));
}

// An integer, also one written with a point or an exponent: 256.0, 1e3.
absl::optional<int64_t> WholeNumber(const ConfigValue& value) {
  if (const int64_t* integer = std::get_if<int64_t>(&value.data)) return *integer;
  const double* number = std::get_if<double>(&value.data);
  // All whole numbers up to 2^53 are exact in double; beyond, it is not known what was meant.
  const bool whole = number != nullptr && std::abs(*number) <= 9007199254740992.0 &&
                     std::trunc(*number) == *number;
  return whole ? absl::optional<int64_t>(static_cast<int64_t>(*number)) : absl::nullopt;
}

template <typename T>
absl::StatusOr<T> IntegerFor(const ConfigValue& value, const FieldDescriptor& field) {
  const absl::optional<int64_t> given = WholeNumber(value);
  if (!given.has_value()) return WantButGot("an integer", value);
  MASE_RETURN_IF_ERROR(CheckRange(static_cast<double>(*given), field));
  if (!std::in_range<T>(*given)) {
    return WantButGot(absl::StrCat("an integer from ", std::numeric_limits<T>::min(), " to ",
                                   std::numeric_limits<T>::max()),
                      value);
  }
  return static_cast<T>(*given);
}

absl::StatusOr<double> NumberFor(const ConfigValue& value, const FieldDescriptor& field) {
  double number;
  if (const int64_t* integer = std::get_if<int64_t>(&value.data)) {
    number = static_cast<double>(*integer);
  } else if (const double* given = std::get_if<double>(&value.data)) {
    number = *given;
  } else {
    return WantButGot("a number", value);
  }
  const bool is_float = field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT;
  const double most = is_float ? static_cast<double>(std::numeric_limits<float>::max())
                               : std::numeric_limits<double>::max();
  if (!(std::abs(number) <= most)) return WantButGot("a finite number", value);
  MASE_RETURN_IF_ERROR(CheckRange(number, field));
  return number;
}

absl::Status NotAllowed(absl::string_view given, std::vector<std::string> allowed) {
  allowed.erase(std::remove(allowed.begin(), allowed.end(), ""), allowed.end());  // Not given.
  return absl::InvalidArgumentError(absl::StrCat(
      "'", given, "' is none of ", absl::StrJoin(allowed, ", "), Suggest(given, allowed)));
}

// As a person would write it: the fewest digits that read back as the same number.
std::string NumberText(double number) {
  for (int digits = 6; digits < 17; ++digits) {
    const std::string text = absl::StrFormat("%.*g", digits, number);
    double back;
    if (absl::SimpleAtod(text, &back) && back == number) return text;
  }
  return absl::StrFormat("%.17g", number);
}

absl::StatusOr<std::string> CompletePath(const std::string& path, const Source& source) {
  if (path.empty() || source.folder.empty()) return UserPath(path);
  MASE_ASSIGN_OR_RETURN(const std::string expanded, ExpandHome(path));
  return (std::filesystem::path(source.folder) / expanded).lexically_normal().string();
}

absl::StatusOr<std::string> StringFor(const ConfigValue& value, const FieldDescriptor& field,
                                      const Source& source) {
  const bool choice = field.options().GetExtension(setting).allowed_size() > 0;
  std::string text;
  if (const std::string* given = value.string()) {
    text = *given;
  } else if (WholeNumber(value).has_value() && choice) {
    text = absl::StrCat(*WholeNumber(value));  // MASE's files say trainer_precision = 32.
  } else if (const bool* truth = std::get_if<bool>(&value.data); truth != nullptr && choice) {
    text = *truth ? "true" : "false";  // Of a switch that has further words: require_int8.
  } else {
    return WantButGot("a string", value);
  }
  MASE_RETURN_IF_ERROR(CheckAllowed(text, field));
  if (field.options().GetExtension(path)) return CompletePath(text, source);
  return text;
}

absl::StatusOr<const EnumValueDescriptor*> EnumFor(const ConfigValue& value,
                                                   const FieldDescriptor& field) {
  const std::string* name = value.string();
  if (name == nullptr) return WantButGot("a name", value);
  // The error spells the names as the user did.
  const bool lower = absl::c_none_of(*name, [](char c) { return absl::ascii_isupper(c); });
  std::vector<std::string> names;
  const EnumDescriptor& type = *field.enum_type();
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string& known = type.value(i)->name();
    if (absl::EqualsIgnoreCase(known, *name)) return type.value(i);
    names.push_back(lower ? absl::AsciiStrToLower(known) : known);
  }
  return NotAllowed(*name, names);
}

}  // namespace

std::string RangeText(const FieldDescriptor& field) {
  const Setting& limits = field.options().GetExtension(setting);
  std::vector<std::string> parts;
  if (limits.has_min()) parts.push_back(absl::StrCat("at least ", NumberText(limits.min())));
  if (limits.has_above()) parts.push_back(absl::StrCat("above ", NumberText(limits.above())));
  if (limits.has_max()) parts.push_back(absl::StrCat("at most ", NumberText(limits.max())));
  if (limits.has_below()) parts.push_back(absl::StrCat("below ", NumberText(limits.below())));
  return absl::StrJoin(parts, " and ");
}

absl::Status CheckRange(double number, const FieldDescriptor& field) {
  const Setting& limits = field.options().GetExtension(setting);
  const bool fits = (!limits.has_min() || number >= limits.min()) &&
                    (!limits.has_above() || number > limits.above()) &&
                    (!limits.has_max() || number <= limits.max()) &&
                    (!limits.has_below() || number < limits.below());
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(NumberText(number), " is out of range, want ", RangeText(field)));
}

absl::Status CheckAllowed(absl::string_view text, const FieldDescriptor& field) {
  const auto& choices = field.options().GetExtension(setting).allowed();
  const std::vector<std::string> allowed(choices.begin(), choices.end());
  const bool fits = allowed.empty() || absl::c_linear_search(allowed, text);
  return fits ? absl::OkStatus() : NotAllowed(text, allowed);
}

ConfigValue Resolve(const ConfigValue& value, const FieldDescriptor& field) {
  if (value.is_null()) {
    const std::string& none = field.options().GetExtension(setting).none();
    return none.empty() ? value : ConfigValue{none, value.position};
  }
  const RawText* raw = std::get_if<RawText>(&value.data);
  if (raw == nullptr) return value;
  const bool quoted = absl::StartsWith(raw->text, "\"") || absl::StartsWith(raw->text, "'");
  const bool list = field.is_repeated() && absl::StartsWith(raw->text, "[");
  const bool verbatim = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !quoted && !list;
  if (!verbatim) {
    absl::StatusOr<ConfigValue> parsed = ParseTomlValue(raw->text);
    if (parsed.ok()) return Resolve(*parsed, field);
  }
  return Resolve(StringOrNull(raw->text, value.position), field);
}

absl::Status SetScalar(const ConfigValue& value, const FieldDescriptor& field, const Source& source,
                       Message& message) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: {
      const bool* given = std::get_if<bool>(&value.data);
      if (given == nullptr) return WantButGot("true or false", value);
      Store(message, field, *given, &Reflection::SetBool, &Reflection::AddBool);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      MASE_ASSIGN_OR_RETURN(const int32_t number, IntegerFor<int32_t>(value, field));
      Store(message, field, number, &Reflection::SetInt32, &Reflection::AddInt32);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      MASE_ASSIGN_OR_RETURN(const int64_t number, IntegerFor<int64_t>(value, field));
      Store(message, field, number, &Reflection::SetInt64, &Reflection::AddInt64);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      MASE_ASSIGN_OR_RETURN(const uint32_t number, IntegerFor<uint32_t>(value, field));
      Store(message, field, number, &Reflection::SetUInt32, &Reflection::AddUInt32);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      MASE_ASSIGN_OR_RETURN(const uint64_t number, IntegerFor<uint64_t>(value, field));
      Store(message, field, number, &Reflection::SetUInt64, &Reflection::AddUInt64);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      MASE_ASSIGN_OR_RETURN(const double number, NumberFor(value, field));
      Store(message, field, number, &Reflection::SetDouble, &Reflection::AddDouble);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      MASE_ASSIGN_OR_RETURN(const double number, NumberFor(value, field));
      Store(message, field, static_cast<float>(number), &Reflection::SetFloat,
            &Reflection::AddFloat);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      MASE_ASSIGN_OR_RETURN(std::string text, StringFor(value, field, source));
      Store(message, field, std::move(text), &Reflection::SetString, &Reflection::AddString);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      MASE_ASSIGN_OR_RETURN(const EnumValueDescriptor* chosen, EnumFor(value, field));
      Store(message, field, chosen, &Reflection::SetEnum, &Reflection::AddEnum);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::InternalError(absl::StrCat(field.full_name(), " is not a scalar"));
}

}  // namespace mase
