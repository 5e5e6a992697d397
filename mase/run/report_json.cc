#include "mase/run/report_json.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "mase/base/quote.h"
#include "mase/config/json.h"
#include "mase/config/options_types.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

enum class Fields { kAll, kOnlySet };

Json FromMessage(const Message& message, Fields fields);

// Counts stay whole; JSON knows no NaN and no infinity.
Json FromNumber(double value) {
  if (!std::isfinite(value)) return nullptr;
  const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
  return whole ? Json(static_cast<int64_t>(value)) : Json(value);
}

Json FromValue(const google::protobuf::Value& value);

Json FromStruct(const google::protobuf::Struct& fields) {
  const std::map<std::string, google::protobuf::Value> sorted(fields.fields().begin(),
                                                              fields.fields().end());
  Json object = Json::object();
  for (const auto& [key, value] : sorted) object[key] = FromValue(value);
  return object;
}

// Struct results come from passes, nested as deep as those who made them nested calls.
Json FromValue(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      return FromNumber(value.number_value());
    case google::protobuf::Value::kStringValue:
      return value.string_value();
    case google::protobuf::Value::kBoolValue:
      return value.bool_value();
    case google::protobuf::Value::kStructValue:
      return FromStruct(value.struct_value());
    case google::protobuf::Value::kListValue: {
      Json list = Json::array();
      for (const auto& item : value.list_value().values()) list.push_back(FromValue(item));
      return list;
    }
    default:
      return nullptr;
  }
}

// The message in it, beside its type, if this program knows that type.
Json FromAny(const google::protobuf::Any& any, Fields fields) {
  Json object = {{"@type", any.type_url()}};
  const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  const auto* descriptor = FindOptionsType(type);
  if (descriptor == nullptr) return object;
  const std::unique_ptr<Message> message(OptionsPrototype(*descriptor).New());
  if (!message->ParseFromString(any.value())) return object;
  const Json inner = FromMessage(*message, fields);
  for (const auto& [key, value] : inner.items()) object[key] = value;
  return object;
}

// One value of a field; `index` is -1 where the field is not repeated.
Json FromElement(const Message& message, const FieldDescriptor& field, int index, Fields fields) {
  const Reflection& r = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? r.GetInt32(message, &field) : r.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? r.GetUInt32(message, &field) : r.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? r.GetInt64(message, &field) : r.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? r.GetUInt64(message, &field) : r.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return FromNumber(one ? r.GetDouble(message, &field)
                            : r.GetRepeatedDouble(message, &field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return FromNumber(one ? r.GetFloat(message, &field)
                            : r.GetRepeatedFloat(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? r.GetBool(message, &field) : r.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (one ? r.GetEnum(message, &field) : r.GetRepeatedEnum(message, &field, index))->name();
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text =
          one ? r.GetString(message, &field) : r.GetRepeatedString(message, &field, index);
      return field.type() == FieldDescriptor::TYPE_BYTES ? absl::Base64Escape(text) : text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return FromMessage(
          one ? r.GetMessage(message, &field) : r.GetRepeatedMessage(message, &field, index),
          fields);
  }
  return nullptr;
}

Json FromMap(const Message& message, const FieldDescriptor& field, Fields fields) {
  const Reflection& r = *message.GetReflection();
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < r.FieldSize(message, &field); ++i) {
    const Message& entry = r.GetRepeatedMessage(message, &field, i);
    const Json name = FromElement(entry, key, -1, fields);
    sorted[name.is_string() ? name.get<std::string>() : name.dump()] =
        FromElement(entry, value, -1, fields);
  }
  Json object = Json::object();
  for (auto& [name, element] : sorted) object[name] = std::move(element);
  return object;
}

Json FromField(const Message& message, const FieldDescriptor& field, Fields fields) {
  const Reflection& r = *message.GetReflection();
  if (field.is_map()) return FromMap(message, field, fields);
  if (field.is_repeated()) {
    Json list = Json::array();
    for (int i = 0; i < r.FieldSize(message, &field); ++i) {
      list.push_back(FromElement(message, field, i, fields));
    }
    return list;
  }
  if (field.has_presence() && !r.HasField(message, &field)) return nullptr;
  return FromElement(message, field, -1, fields);
}

Json FromList(const google::protobuf::ListValue& list) {
  google::protobuf::Value value;
  *value.mutable_list_value() = list;
  return FromValue(value);
}

// Messages nest as deep as their types do.
Json FromMessage(const Message& message, Fields fields) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  if (&type == google::protobuf::Struct::descriptor()) {
    return FromStruct(static_cast<const google::protobuf::Struct&>(message));
  }
  if (&type == google::protobuf::ListValue::descriptor()) {
    return FromList(static_cast<const google::protobuf::ListValue&>(message));
  }
  if (&type == google::protobuf::Any::descriptor()) {
    return FromAny(static_cast<const google::protobuf::Any&>(message), fields);
  }
  std::vector<const FieldDescriptor*> wanted;
  if (fields == Fields::kOnlySet) {
    message.GetReflection()->ListFields(message, &wanted);
  } else {
    // As they are written in the file, which is by number.
    for (int i = 0; i < type.field_count(); ++i) wanted.push_back(type.field(i));
  }
  Json object = Json::object();
  for (const FieldDescriptor* field : wanted) {
    object[field->name()] = FromField(message, *field, fields);
  }
  return object;
}

std::string Text(const Json& json) {
  return json.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ReportJson(const RunReport& report) { return Text(FromMessage(report, Fields::kAll)); }

absl::StatusOr<RunReport> ParseReportJson(absl::string_view json, absl::string_view file) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  RunReport report;
  const auto status =
      google::protobuf::util::JsonStringToMessage(std::string(json), &report, options);
  if (status.ok()) return report;
  // That library knows no lines.
  const absl::StatusOr<ConfigValue> place = ParseJson(json, file);
  const std::string what = place.ok()
                               ? absl::StrCat(file, ": has not what the summary of a run has: ",
                                              Quoted(std::string(status.message())))
                               : std::string(place.status().message());
  return absl::DataLossError(absl::StrCat(
      what, "; the summary is cut or damaged: remove it, and the run is one that has not ended"));
}

void SetSettings(const RunConfig& config, RunReport& report) {
  RunConfig shown = config;
  shown.clear_run_dir();
  report.clear_settings();
  // Cannot fail: the text is an object of plain values.
  (void)google::protobuf::util::JsonStringToMessage(Text(FromMessage(shown, Fields::kOnlySet)),
                                                    report.mutable_settings());
}

}  // namespace mase
