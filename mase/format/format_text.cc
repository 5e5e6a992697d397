#include "mase/format/format_text.h"

#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/text_error.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/plugin_values.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kLeftOut[] = "None";  // As Python, and so MASE's tables, write it.
constexpr char kSpaces[] = " \t\r\n";

// Formats that the literature calls by a name.
struct NamedFormat {
  absl::string_view name;
  absl::string_view text;
};
constexpr NamedFormat kNamedFormats[] = {
    {"float16", "mx { element_format: 'float16' }"},
    {"bfloat16", "mx { element_format: 'bfloat16' }"},
    {"fp8_e4m3", "mx { element_format: 'fp8_e4m3' }"},
    {"fp8_e5m2", "mx { element_format: 'fp8_e5m2' }"},
    {"fp6_e2m3", "mx { element_format: 'fp6_e2m3' }"},
    {"fp6_e3m2", "mx { element_format: 'fp6_e3m2' }"},
    {"fp4_e2m1", "mx { element_format: 'fp4_e2m1' }"},
    {"mxint8", "mxint { block_size: 32 element_bits: 8 }"},
    {"mxint6", "mxint { block_size: 32 element_bits: 6 }"},
    {"mxint4", "mxint { block_size: 32 element_bits: 4 }"},
    {"mxfp8_e4m3", "mxfp { block_size: 32 element_exp_bits: 4 element_frac_bits: 3 }"},
    {"mxfp8_e5m2", "mxfp { block_size: 32 element_exp_bits: 5 element_frac_bits: 2 }"},
    {"mxfp6_e2m3", "mxfp { block_size: 32 element_exp_bits: 2 element_frac_bits: 3 }"},
    {"mxfp6_e3m2", "mxfp { block_size: 32 element_exp_bits: 3 element_frac_bits: 2 }"},
    {"mxfp4_e2m1", "mxfp { block_size: 32 element_exp_bits: 2 element_frac_bits: 1 }"},
};

// Adds what the text of a FormatProto, or of some of its fields, says.
absl::Status MergeProtoText(absl::string_view text, FormatProto* format) {
  FirstTextError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.MergeFromString(std::string(text), format)) return absl::OkStatus();
  return absl::InvalidArgumentError(error.text());
}

Message* MutableFamily(const Family& family, FormatProto* format) {
  return format->GetReflection()->MutableMessage(
      format, FormatProto::descriptor()->FindFieldByNumber(family.family_case));
}

const Message& FamilyMessage(const FormatProto& format) {
  return format.GetReflection()->GetMessage(
      format, FormatProto::descriptor()->FindFieldByNumber(format.family_case()));
}

// The fields whose values are written one after another, MASE's `precision`.
std::vector<const FieldDescriptor*> ValueFields(const Family& family) {
  const auto& message =
      *FormatProto::descriptor()->FindFieldByNumber(family.family_case)->message_type();
  std::vector<const FieldDescriptor*> fields;
  for (const FamilyParameter& parameter : family.parameters) {
    if (!parameter.in_precision) continue;
    const absl::string_view name = parameter.field.empty() ? parameter.name : parameter.field;
    fields.push_back(message.FindFieldByName(std::string(name)));
  }
  return fields;
}

absl::Status SetField(const FieldDescriptor& field, absl::string_view value, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  if (field.is_repeated()) {
    for (absl::string_view extent : absl::StrSplit(value, 'x')) {
      int32_t integer;
      if (!absl::SimpleAtoi(extent, &integer)) {
        return absl::InvalidArgumentError(
            absl::StrCat(field.name(), " '", value, "': want integers joined by x, as in 1x16"));
      }
      reflection.AddInt32(message, &field, integer);
    }
    return absl::OkStatus();
  }
  int32_t integer;
  float number;
  bool truth;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      if (!absl::SimpleAtoi(value, &integer)) {
        return absl::InvalidArgumentError(
            absl::StrCat(field.name(), " '", value, "': want an integer"));
      }
      reflection.SetInt32(message, &field, integer);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!absl::SimpleAtob(value, &truth)) {
        return absl::InvalidArgumentError(
            absl::StrCat(field.name(), " '", value, "': want true or false"));
      }
      reflection.SetBool(message, &field, truth);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (!absl::SimpleAtof(value, &number)) {
        return absl::InvalidArgumentError(
            absl::StrCat(field.name(), " '", value, "': want a number"));
      }
      reflection.SetFloat(message, &field, number);
      return absl::OkStatus();
    default:
      reflection.SetString(message, &field, std::string(value));
      return absl::OkStatus();
  }
}

// "8/4"
absl::Status SetValues(const Family& family, absl::string_view text, FormatProto* format) {
  const std::vector<absl::string_view> values = absl::StrSplit(text, '/');
  const std::vector<const FieldDescriptor*> fields = ValueFields(family);
  if (values.size() > fields.size()) {
    const auto name = [](std::string* out, const FieldDescriptor* field) {
      absl::StrAppend(out, field->name());
    };
    return absl::InvalidArgumentError(absl::StrCat(values.size(), " values, but ", family.name,
                                                   " has ", absl::StrJoin(fields, "/", name)));
  }
  Message* message = MutableFamily(family, format);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == kLeftOut) continue;
    MASE_RETURN_IF_ERROR(SetField(*fields[i], values[i], message));
  }
  return absl::OkStatus();
}

// The same of a plugin's family.
absl::Status ParsePluginFamily(const Family& family, absl::string_view rest, FormatProto* format) {
  const bool named = absl::StartsWith(rest, "{");
  const size_t end = named ? rest.find('}') : rest.find_first_of(kSpaces);
  const absl::string_view values = rest.substr(0, named && end != rest.npos ? end + 1 : end);
  if (values.empty() || (!named && absl::StrContains(values, ':'))) {
    MASE_RETURN_IF_ERROR(MergeProtoText(family.example, format));
    return MergeProtoText(rest, format);
  }
  format->mutable_plugin()->set_family(std::string(family.name));
  MASE_RETURN_IF_ERROR(ReadPluginValues(family, values, format->mutable_plugin()));
  return MergeProtoText(rest.substr(values.size()), format);
}

// `rest` is what follows the family's name.
absl::Status ParseFamily(const Family& family, absl::string_view rest, FormatProto* format) {
  if (family.family_case == FormatProto::kPlugin) return ParsePluginFamily(family, rest, format);
  if (absl::StartsWith(rest, "{")) {
    return MergeProtoText(absl::StrCat(family.name, " ", rest), format);
  }
  const absl::string_view word = rest.substr(0, rest.find_first_of(kSpaces));
  if (word.empty() || absl::StrContains(word, ':')) {
    MASE_RETURN_IF_ERROR(MergeProtoText(family.example, format));
  } else {
    MASE_RETURN_IF_ERROR(SetValues(family, word, format));
    rest.remove_prefix(word.size());
  }
  return MergeProtoText(rest, format);
}

absl::StatusOr<FormatProto> Parse(absl::string_view text) {
  FormatProto format;
  const absl::string_view head = text.substr(0, text.find_first_of(" \t\r\n{:"));
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(text.substr(head.size()));
  if (absl::StartsWith(rest, ":")) {  // A policy comes first.
    MASE_RETURN_IF_ERROR(MergeProtoText(text, &format));
    return format;
  }
  for (const NamedFormat& named : kNamedFormats) {
    if (head != named.name) continue;
    MASE_RETURN_IF_ERROR(MergeProtoText(absl::StrCat(named.text, " ", rest), &format));
    return format;
  }
  const Family* family = FindFamily(head);
  if (family == nullptr && head == "plugin" && absl::StartsWith(rest, "{")) {
    MASE_RETURN_IF_ERROR(MergeProtoText(text, &format));  // As FormatText writes what it lacks.
    return format;
  }
  if (family == nullptr) return UnknownFormatError(head);
  MASE_RETURN_IF_ERROR(ParseFamily(*family, rest, &format));
  if (head == "integer_floor" && format.rounding() == FormatProto::ROUNDING_DEFAULT) {
    format.set_rounding(FormatProto::FLOOR);
  }
  return format;
}

// The value of a field as SetField reads it.
std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    const int size = reflection.FieldSize(message, &field);
    std::vector<int32_t> extents;
    for (int i = 0; i < size; ++i) {
      extents.push_back(reflection.GetRepeatedInt32(message, &field, i));
    }
    return size == 0 ? kLeftOut : absl::StrJoin(extents, "x");
  }
  if (field.has_presence() && !reflection.HasField(message, &field)) return kLeftOut;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_FLOAT: {
      std::string shortest;  // That is read as the same number.
      google::protobuf::TextFormat::PrintFieldValueToString(message, &field, -1, &shortest);
      return shortest;
    }
    default:
      return reflection.GetString(message, &field);
  }
}

std::string WithValues(const FormatProto& format) {
  const Family& family = *FindFamily(format);
  std::vector<std::string> values;
  if (format.has_plugin()) {
    values = PluginValueTexts(format.plugin());
  } else {
    for (const FieldDescriptor* field : ValueFields(family)) {
      values.push_back(ValueText(FamilyMessage(format), *field));
    }
  }
  while (!values.empty() && values.back() == kLeftOut) values.pop_back();
  return absl::StrCat(family.name, values.empty() ? "" : " ", absl::StrJoin(values, "/"));
}

bool Means(absl::string_view text, const FormatProto& format) {
  const absl::StatusOr<FormatProto> parsed = ParseFormat(text);
  return parsed.ok() &&
         WithDefaults(*parsed).SerializeAsString() == WithDefaults(format).SerializeAsString();
}

}  // namespace

absl::StatusOr<FormatProto> ParseFormat(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (trimmed.empty()) {
    return absl::InvalidArgumentError("no format; for example 'integer 8/4'");
  }
  absl::StatusOr<FormatProto> format = Parse(trimmed);
  if (format.ok() || absl::IsNotFound(format.status())) return format;
  return Annotate(format.status(), absl::StrCat("format '", trimmed, "'"));
}

std::string FormatText(const FormatProto& format) {
  const std::string whole = format.ShortDebugString();
  if (format.family_case() == FormatProto::FAMILY_NOT_SET) return whole;
  FormatProto policies = format;
  policies.clear_family();
  const std::string tail = policies.ShortDebugString();
  const absl::string_view space = tail.empty() ? "" : " ";
  for (const NamedFormat& named : kNamedFormats) {
    const std::string text = absl::StrCat(named.name, space, tail);
    if (Means(text, format)) return text;
  }
  const std::string text = absl::StrCat(WithValues(format), space, tail);
  return Means(text, format) ? text : whole;
}

bool IsNamedFormat(absl::string_view name) {
  return absl::c_any_of(kNamedFormats, [&](const NamedFormat& each) { return each.name == name; });
}

absl::Status UnknownFormatError(absl::string_view name) {
  std::vector<std::string> names, families;
  for (const Family* family : Families()) {
    families.emplace_back(family->name);
    names.emplace_back(family->name);
    for (absl::string_view alias : family->aliases) names.emplace_back(alias);
  }
  for (const NamedFormat& named : kNamedFormats) names.emplace_back(named.name);
  const std::string nearest = Suggest(name, names);
  return absl::NotFoundError(absl::StrCat(
      "unknown format '", name, "'", nearest,
      nearest.empty() ? absl::StrCat("; there are ", absl::StrJoin(families, ", ")) : ""));
}

}  // namespace mase
