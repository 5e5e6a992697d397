// FormatFromParameters: MASE's flat parameters to FormatProto, by each family's table.
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/format/family.h"
#include "mase/format/format_text.h"

namespace mase {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string WithOperand(absl::string_view operand, absl::string_view field) {
  return operand.empty() ? std::string(field) : absl::StrCat(operand, "_", field);
}

bool IsSet(const Message& message, const FieldDescriptor& field) {
  return field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) > 0
                             : message.GetReflection()->HasField(message, &field);
}

// Copies one field between messages; both have the same C++ type. A list of one may become one.
void Copy(const Message& from, const FieldDescriptor& source, Message* to,
          const FieldDescriptor& target) {
  const auto& in = *from.GetReflection();
  const auto& out = *to->GetReflection();
  if (source.is_repeated()) {
    for (int i = 0; i < in.FieldSize(from, &source); ++i) {
      if (!target.is_repeated()) {
        out.SetInt32(to, &target, in.GetRepeatedInt32(from, &source, i));
      } else if (source.cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
        out.AddInt32(to, &target, in.GetRepeatedInt32(from, &source, i));
      } else {
        out.AddFloat(to, &target, in.GetRepeatedFloat(from, &source, i));
      }
    }
    return;
  }
  switch (source.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return out.SetInt32(to, &target, in.GetInt32(from, &source));
    case FieldDescriptor::CPPTYPE_BOOL:
      return out.SetBool(to, &target, in.GetBool(from, &source));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return target.is_repeated() ? out.AddFloat(to, &target, in.GetFloat(from, &source))
                                  : out.SetFloat(to, &target, in.GetFloat(from, &source));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return out.SetDouble(to, &target, in.GetDouble(from, &source));
    default:
      return out.SetString(to, &target, in.GetString(from, &source));
  }
}

absl::Status CheckKnown(absl::string_view name, const Family& family,
                        const FormatParameters& parameters, absl::string_view operand) {
  std::vector<std::string> known;
  for (const FamilyParameter& parameter : family.parameters) known.emplace_back(parameter.name);
  std::vector<const FieldDescriptor*> set;
  parameters.GetReflection()->ListFields(parameters, &set);
  for (const FieldDescriptor* field : set) {
    if (absl::c_linear_search(known, field->name())) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, " has no parameter ",
                                                   WithOperand(operand, field->name()),
                                                   Suggest(field->name(), known)));
  }
  return absl::OkStatus();
}

// A number or truth of FormatParameters as a plugin's value; nan where there is no such field or
// it is not set.
double NumberOf(const FormatParameters& parameters, absl::string_view name) {
  const FieldDescriptor* field = FormatParameters::descriptor()->FindFieldByName(std::string(name));
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (field == nullptr || field->is_repeated() || !IsSet(parameters, *field)) return kNone;
  const auto& reflection = *parameters.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(parameters, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(parameters, field) ? 1 : 0;
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.GetFloat(parameters, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(parameters, field);
    default:
      return kNone;
  }
}

// A plugin's parameters: by the keys of MASE's that have their names, or all in a row.
absl::Status SetPluginValues(const Family& family, const FormatParameters& parameters,
                             absl::string_view operand, PluginFormat* format) {
  FormatParameters by_key = parameters;
  by_key.clear_values();
  MASE_RETURN_IF_ERROR(CheckKnown(family.name, family, by_key, operand));
  format->set_family(std::string(family.name));
  *format->mutable_value() = parameters.values();
  if (parameters.values().empty()) {
    for (const FamilyParameter& parameter : family.parameters) {
      format->add_value(NumberOf(parameters, parameter.name));
    }
  } else if (by_key.ByteSizeLong() > 0) {
    return absl::InvalidArgumentError(absl::StrCat(family.name, " has ",
                                                   WithOperand(operand, "values"),
                                                   " and keys besides; give one of them"));
  }
  return absl::OkStatus();
}

// `proto`, if there is such a format.
absl::StatusOr<FormatProto> Checked(const FormatProto& proto, absl::string_view operand) {
  const absl::StatusOr<std::unique_ptr<const Format>> format = Format::Create(proto);
  if (format.ok()) return proto;
  return operand.empty() ? format.status() : Annotate(format.status(), operand);
}

}  // namespace

absl::StatusOr<FormatProto> FormatFromParameters(absl::string_view name,
                                                 const FormatParameters& parameters,
                                                 absl::string_view operand,
                                                 const FormatProto& policies) {
  const Family* family = FindFamily(name);
  if (family == nullptr) return UnknownFormatError(name);
  FormatProto proto = policies;
  if (family->family_case == FormatProto::kPlugin) {
    MASE_RETURN_IF_ERROR(SetPluginValues(*family, parameters, operand, proto.mutable_plugin()));
    return Checked(proto, operand);
  }
  MASE_RETURN_IF_ERROR(CheckKnown(name, *family, parameters, operand));
  Message* message = proto.GetReflection()->MutableMessage(
      &proto, FormatProto::descriptor()->FindFieldByNumber(family->family_case));
  for (const FamilyParameter& parameter : family->parameters) {
    const FieldDescriptor& source =
        *FormatParameters::descriptor()->FindFieldByName(std::string(parameter.name));
    if (!IsSet(parameters, source)) {
      if (parameter.need == FamilyParameter::kOptional) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(name, " needs ", WithOperand(operand, parameter.name)));
    }
    if (parameter.field == "-") continue;
    const FieldDescriptor& target = *message->GetDescriptor()->FindFieldByName(
        std::string(parameter.field.empty() ? parameter.name : parameter.field));
    const bool many = source.is_repeated() && !target.is_repeated() &&
                      parameters.GetReflection()->FieldSize(parameters, &source) != 1;
    if (many) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " takes one number for ", WithOperand(operand, parameter.name)));
    }
    Copy(parameters, source, message, target);
  }
  if (parameters.floor() || name == "integer_floor") proto.set_rounding(FormatProto::FLOOR);
  return Checked(proto, operand);
}

}  // namespace mase
