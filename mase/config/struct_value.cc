#include "mase/config/struct_value.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "mase/config/toml.h"

namespace mase {
namespace {

using ProtoValue = google::protobuf::Value;

// Integers up to here are exact in a double.
constexpr double kMaxExactInteger = 9007199254740992.0;

// The recursions of this file are bounded by limits::kMaxConfigNesting.
struct Setter {
  ProtoValue& target;

  void operator()(Null) { target.set_null_value(google::protobuf::NULL_VALUE); }
  void operator()(bool given) { target.set_bool_value(given); }
  void operator()(int64_t given) { target.set_number_value(static_cast<double>(given)); }
  void operator()(double given) { target.set_number_value(given); }
  void operator()(const std::string& given) { target.set_string_value(given); }
  void operator()(const RawText& given) {
    absl::StatusOr<ConfigValue> parsed = ParseTomlValue(given.text);
    const ConfigValue value =
        parsed.ok() ? *std::move(parsed) : StringOrNull(given.text, Position());
    std::visit(*this, value.data);
  }
  void operator()(const ValueList& given) {
    auto& list = *target.mutable_list_value();
    list.clear_values();
    for (const ConfigValue& item : given) std::visit(Setter{*list.add_values()}, item.data);
  }
  void operator()(const ValueTable& given) {
    MergeIntoStruct(given, *target.mutable_struct_value());
  }
};

}  // namespace

void MergeIntoStruct(const ValueTable& table, google::protobuf::Struct& target) {
  for (const Member& member : table) {
    std::visit(Setter{(*target.mutable_fields())[member.key]}, member.value.data);
  }
}

void SetStructValue(const ConfigValue& value, ProtoValue& target) {
  std::visit(Setter{target}, value.data);
}

ConfigValue FromStruct(const google::protobuf::Struct& source, Position position) {
  ValueTable table;
  // Hash order would differ from run to run.
  const std::map<std::string, ProtoValue> sorted(source.fields().begin(), source.fields().end());
  for (const auto& [key, value] : sorted) {
    table.push_back({key, position, FromStructValue(value, position)});
  }
  return {std::move(table), position};
}

ConfigValue FromStructValue(const ProtoValue& source, Position position) {
  switch (source.kind_case()) {
    case ProtoValue::kBoolValue:
      return {source.bool_value(), position};
    case ProtoValue::kNumberValue: {
      const double number = source.number_value();
      const bool whole = std::trunc(number) == number && std::abs(number) <= kMaxExactInteger;
      if (whole) return {static_cast<int64_t>(number), position};
      return {number, position};
    }
    case ProtoValue::kStringValue:
      return {source.string_value(), position};
    case ProtoValue::kListValue: {
      ValueList list;
      for (const ProtoValue& item : source.list_value().values()) {
        list.push_back(FromStructValue(item, position));
      }
      return {std::move(list), position};
    }
    case ProtoValue::kStructValue:
      return FromStruct(source.struct_value(), position);
    default:
      return {Null(), position};
  }
}

}  // namespace mase
