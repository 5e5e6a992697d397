#include "mase/config/text_proto.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/text_error.h"
#include "mase/config/options_types.h"
#include "mase/config/schema.h"
#include "mase/config/struct_value.h"
#include "mase/config/text_check.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::Empty;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;
using InfoTree = TextFormat::ParseInfoTree;

// Unknown keys are warnings where the parser lets them pass: see OptionsFinder.
class FirstError final : public FirstTextError {
 public:
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    if (!absl::StrContains(message, Empty::descriptor()->full_name())) {
      AddError(line, column, message);
    }
  }
};

// Finds the types of options: those of linked and opened plugins by their name,
// others through the pass that they belong to, which opens its plugin. Where nobody
// reads passes, there is no resolver and their types may be unknown: then all stand
// for Empty, whose unknown fields the parser skips.
class OptionsFinder final : public TextFormat::Finder {
 public:
  explicit OptionsFinder(const PassOptionsResolver& resolve_pass) : resolve_pass_(resolve_pass) {}

  const Descriptor* FindAnyType(const Message&, const std::string&,
                                const std::string& name) const override {
    return Find(name);
  }

  // `name` is in full: mase.plugins.quantize.QuantizeOptions. What comes before the
  // last part is the plugin's folder, which is named like the pass.
  const Descriptor* Find(const std::string& name) const {
    if (resolve_pass_ == nullptr) return Empty::descriptor();
    if (const Descriptor* known = FindOptionsType(name)) return known;
    const std::vector<std::string> parts = absl::StrSplit(name, '.');
    if (parts.size() < 2) return nullptr;
    const absl::StatusOr<const Descriptor*> type = resolve_pass_(parts[parts.size() - 2]);
    if (!type.ok()) {
      status_ = type.status();
      return nullptr;
    }
    return (*type)->full_name() == name ? *type : nullptr;
  }

  const absl::Status& status() const { return status_; }

 private:
  const PassOptionsResolver& resolve_pass_;
  mutable absl::Status status_;  // Why the last one was not found.
};

// Fields of a message as values. Recursion is bounded by the parser's limit.
class Converter {
 public:
  explicit Converter(const OptionsFinder& finder) : finder_(finder) {}

  absl::StatusOr<ConfigValue> FromMessage(const Message& message, const InfoTree* places,
                                          Position position) const {
    if (const auto* any = dynamic_cast<const google::protobuf::Any*>(&message)) {
      return FromAny(*any, places, position);
    }
    if (const auto* free_form = dynamic_cast<const google::protobuf::Struct*>(&message)) {
      return FromStruct(*free_form, position);
    }
    if (const auto* free_value = dynamic_cast<const google::protobuf::Value*>(&message)) {
      return FromStructValue(*free_value, position);
    }
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    ValueTable table;
    for (const FieldDescriptor* field : fields) {
      MASE_ASSIGN_OR_RETURN(ConfigValue value, FromField(message, *field, places));
      const Position at = value.position;
      table.push_back({field->name(), at, std::move(value)});
    }
    return ConfigValue{std::move(table), position};
  }

 private:
  absl::StatusOr<ConfigValue> FromAny(const google::protobuf::Any& any, const InfoTree* places,
                                      Position position) const {
    const std::string name = std::vector<std::string>(absl::StrSplit(any.type_url(), '/')).back();
    const Descriptor* type = finder_.Find(name);
    if (type == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown type ", name));
    const std::unique_ptr<Message> inner(OptionsPrototype(*type).New());
    if (!inner->ParseFromString(any.value())) {
      // The parser wrote these bytes itself, whatever the text held.
      return absl::InvalidArgumentError(absl::StrCat(name, " holds text that is not UTF-8"));
    }
    MASE_ASSIGN_OR_RETURN(ConfigValue value, FromMessage(*inner, places, position));
    std::get<ValueTable>(value.data).push_back({"@type", position, {any.type_url(), position}});
    return value;
  }

  absl::StatusOr<ConfigValue> FromField(const Message& message, const FieldDescriptor& field,
                                        const InfoTree* places) const {
    if (!field.is_repeated()) return FromOne(message, field, -1, places);
    const Position position = PlaceOf(field, 0, places);
    ValueList list;
    ValueTable entries;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
      MASE_ASSIGN_OR_RETURN(ConfigValue item, FromOne(message, field, i, places));
      if (!field.is_map()) {
        list.push_back(std::move(item));
        continue;
      }
      MASE_ASSIGN_OR_RETURN(Member entry, FromMapEntry(std::move(item)));
      entries.push_back(std::move(entry));
    }
    if (field.is_map()) return ConfigValue{std::move(entries), position};
    return ConfigValue{std::move(list), position};
  }

  // A map entry was read as the table {key = ..., value = ...}.
  static absl::StatusOr<Member> FromMapEntry(ConfigValue item) {
    ValueTable& parts = std::get<ValueTable>(item.data);
    Member entry{"", item.position, {ValueTable(), item.position}};
    for (Member& part : parts) {
      if (part.key == "value") {
        entry.value = std::move(part.value);
      } else if (const std::string* key = part.value.string()) {
        entry.key = *key;
      } else {
        return absl::UnimplementedError("keys of maps must be strings");
      }
    }
    return entry;
  }

  // `index` is -1 for a singular field.
  absl::StatusOr<ConfigValue> FromOne(const Message& message, const FieldDescriptor& field,
                                      int index, const InfoTree* places) const {
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    const Position position = PlaceOf(field, index, places);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& inner = index < 0 ? reflection.GetMessage(message, &field)
                                       : reflection.GetRepeatedMessage(message, &field, index);
      const InfoTree* inner_places =
          places == nullptr ? nullptr : places->GetTreeForNested(&field, index);
      return FromMessage(inner, inner_places, position);
    }
    return ConfigValue{Scalar(message, field, index), position};
  }

  static decltype(ConfigValue::data) Scalar(const Message& message, const FieldDescriptor& field,
                                            int index) {
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    const bool one = index < 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return one ? reflection.GetBool(message, &field)
                   : reflection.GetRepeatedBool(message, &field, index);
      case FieldDescriptor::CPPTYPE_INT32:
        return int64_t{one ? reflection.GetInt32(message, &field)
                           : reflection.GetRepeatedInt32(message, &field, index)};
      case FieldDescriptor::CPPTYPE_INT64:
        return int64_t{one ? reflection.GetInt64(message, &field)
                           : reflection.GetRepeatedInt64(message, &field, index)};
      case FieldDescriptor::CPPTYPE_UINT32:
        return int64_t{one ? reflection.GetUInt32(message, &field)
                           : reflection.GetRepeatedUInt32(message, &field, index)};
      case FieldDescriptor::CPPTYPE_UINT64:
        return static_cast<int64_t>(one ? reflection.GetUInt64(message, &field)
                                        : reflection.GetRepeatedUInt64(message, &field, index));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return double{one ? reflection.GetFloat(message, &field)
                          : reflection.GetRepeatedFloat(message, &field, index)};
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return one ? reflection.GetDouble(message, &field)
                   : reflection.GetRepeatedDouble(message, &field, index);
      case FieldDescriptor::CPPTYPE_ENUM:
        return (one ? reflection.GetEnum(message, &field)
                    : reflection.GetRepeatedEnum(message, &field, index))
            ->name();
      default:
        return one ? reflection.GetString(message, &field)
                   : reflection.GetRepeatedString(message, &field, index);
    }
  }

  static Position PlaceOf(const FieldDescriptor& field, int index, const InfoTree* places) {
    if (places == nullptr) return {};
    const TextFormat::ParseLocation at = places->GetLocation(&field, index);
    return at.line < 0 ? Position{} : Position{at.line + 1, at.column + 1};
  }

  const OptionsFinder& finder_;
};

// For printing: any type that is known.
class KnownTypes final : public TextFormat::Finder {
 public:
  const Descriptor* FindAnyType(const Message&, const std::string&,
                                const std::string& name) const override {
    return FindOptionsType(name);
  }
};

// The parser's words for an unknown field and for a word without quotes, in ours and with a remedy.
std::string Reworded(const std::string& message) {
  absl::string_view word = message;
  if (absl::ConsumePrefix(&word, "Expected string, got: ")) {
    return absl::StrCat("want a string, got ", word, "; write \"", word, "\"");
  }
  // Message type "mase.RunConfig" has no field named "max_epoch".
  const std::vector<std::string> parts = absl::StrSplit(message, '"');
  if (parts.size() < 5 || parts[2] != " has no field named ") return message;
  const Descriptor* type = FindOptionsType(parts[1]);
  return absl::StrCat("unknown key '", parts[3], "' in ", parts[1],
                      type == nullptr ? "" : Suggest(parts[3], FieldNames(*type)));
}

// Samplers are names since plugins can bring some; files of before have them as words of an enum.
// Nothing else in settings is such a word of its own, and lines stay as many as they were.
std::string WithSamplersQuoted(absl::string_view text) {
  std::vector<std::pair<std::string, std::string>> changes;
  for (const absl::string_view word : {"TPE", "GRID", "RANDOM", "QMC", "NSGAII", "NSGAIII", "MOEAD",
                                       "CMAES", "ALLOCATOR", "GREEDY"}) {
    changes.emplace_back(absl::StrCat(" name: ", word, "\n"),
                         absl::StrCat(" name: \"", absl::AsciiStrToLower(word), "\"\n"));
  }
  return absl::StrReplaceAll(text, changes);
}

}  // namespace

absl::StatusOr<ConfigValue> ParseTextProto(absl::string_view text, absl::string_view name,
                                           const PassOptionsResolver& resolve_pass) {
  MASE_RETURN_IF_ERROR(CheckEncoding(text, name));
  const OptionsFinder finder(resolve_pass);
  FirstError error;
  InfoTree places;
  TextFormat::Parser parser;
  parser.SetFinder(&finder);
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&places);
  parser.SetRecursionLimit(limits::kMaxConfigNesting);
  parser.AllowUnknownField(resolve_pass == nullptr);
  // The library logs what is no error to it, such as bad UTF-8; we return errors.
  const google::protobuf::LogSilencer silencer;
  RunConfig config;
  if (!parser.ParseFromString(WithSamplersQuoted(text), &config) || !error.message().empty()) {
    const std::string where = Where(name, {error.line(), error.column()});
    if (!finder.status().ok()) {
      return absl::Status(finder.status().code(),
                          absl::StrCat(where, ": ", finder.status().message()));
    }
    const bool too_deep = absl::StrContains(error.message(), "recursion limit");
    return absl::Status(
        too_deep ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInvalidArgument,
        absl::StrCat(where, ": ", Reworded(error.message())));
  }
  absl::StatusOr<ConfigValue> value = Converter(finder).FromMessage(config, &places, {1, 1});
  if (!value.ok()) {
    return absl::Status(value.status().code(), absl::StrCat(name, ": ", value.status().message()));
  }
  return value;
}

std::string ConfigText(const RunConfig& config) {
  RunConfig written = config;
  written.clear_run_dir();
  if (written.has_goals()) written.mutable_goals()->clear_junit();
  TextFormat::Printer printer;
  const KnownTypes types;
  printer.SetExpandAny(true);
  printer.SetFinder(&types);
  std::string text;
  printer.PrintToString(written, &text);
  return absl::StrCat(
      "# The settings of a run, defaults included. --config=FILE makes the same run.\n", text);
}

}  // namespace mase
