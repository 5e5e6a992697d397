#include "mase/config/merge.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/struct.pb.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/config/options_types.h"
#include "mase/config/scalar.h"
#include "mase/config/schema.h"
#include "mase/config/struct_value.h"
#include "mase/config/text_check.h"
#include "mase/config/toml.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsBareKey(absl::string_view key) {
  return !key.empty() &&
         absl::c_all_of(key, [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

std::string Child(const std::string& path, absl::string_view key) {
  const std::string shown = IsBareKey(key) ? std::string(key) : absl::StrCat("\"", key, "\"");
  return path.empty() ? shown : absl::StrCat(path, ".", shown);
}

// A list of values of any type.
bool HoldsValues(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field.is_repeated() &&
         field.message_type() == google::protobuf::Value::descriptor();
}

bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !HoldsValues(field);
}

// The path of a field of the message at `path`. Catch-all fields and the "value" of
// a map's entry have no name in it, as one writes them without.
std::string FieldPath(const std::string& path, const FieldDescriptor& field) {
  const bool nameless =
      field.options().GetExtension(catch_all) || field.containing_type()->options().map_entry();
  return nameless ? path : Child(path, field.name());
}

std::string KeyOf(const Message& element, const FieldDescriptor& key) {
  return element.GetReflection()->GetString(element, &key);
}

// True if a table under a key unknown to a message belongs into its catch-all
// field: lists and maps hold tables only.
bool Catches(const FieldDescriptor* field, const ConfigValue& value) {
  return field != nullptr && (!field->is_repeated() || value.table() != nullptr);
}

// A table given as text on the command line, {a = 1}; other values as they are.
absl::StatusOr<ConfigValue> Opened(const ConfigValue& value, const Source& source) {
  const RawText* raw = std::get_if<RawText>(&value.data);
  if (raw == nullptr || !absl::StartsWith(raw->text, "{")) return value;
  absl::StatusOr<ConfigValue> table = ParseTomlValue(raw->text);
  if (!table.ok()) return Annotate(table.status(), Where(source.name, value.position));
  return table;
}

}  // namespace

Merger::Merger(PassOptionsResolver resolve_pass)
    : resolve_pass_(std::move(resolve_pass)),
      config_(Defaults().config_),
      record_(Defaults().record_) {}

const Merger& Merger::Defaults() {
  static const Merger& defaults = *[] {
    auto* const filled = new Merger(Empty());
    CHECK_EQ(filled->FillDefaults("", filled->config_), absl::OkStatus());
    return filled;
  }();
  return defaults;
}

absl::Status Merger::Merge(const ConfigValue& table, const Source& source) {
  CHECK(table.table() != nullptr);
  MASE_RETURN_IF_ERROR(CheckTexts(table, source.name));
  source_ = &source;
  errors_.Add(MergeTable(*table.table(), nullptr, "", config_));
  source_ = nullptr;
  return std::exchange(errors_, {}).Combined();
}

RunConfig Merger::Finish() {
  for (PassConfig& pass : *config_.mutable_passes()) {
    const auto options = options_.find(&pass);
    if (options != options_.end()) pass.mutable_options()->PackFrom(*options->second);
  }
  return config_;
}

absl::Status Merger::MergeTable(const ValueTable& table, const Field* hidden,
                                const std::string& path, Message& message) {
  for (const Member& member : table) {
    errors_.Add(MergeKey(member.key, member, hidden, path, message));
  }
  errors_.Add(CheckChoices(table, path, *message.GetDescriptor()));
  return absl::OkStatus();
}

// Of the fields of a oneof one table can give but one; what another source gives replaces it.
absl::Status Merger::CheckChoices(const ValueTable& table, const std::string& path,
                                  const Descriptor& descriptor) const {
  absl::flat_hash_map<const google::protobuf::OneofDescriptor*, std::string> given;
  for (const Member& member : table) {
    const Field* field = descriptor.FindFieldByName(std::string(member.key));
    if (field == nullptr) {
      const absl::optional<FlatKey> flat = FindFlatKey(descriptor, member.key);
      if (flat) field = flat->field;
    }
    if (field == nullptr || field->real_containing_oneof() == nullptr) continue;
    const auto [first, is_first] = given.emplace(field->real_containing_oneof(), field->name());
    if (is_first || first->second == field->name()) continue;
    return Error(member.position, path,
                 absl::StrCat("give ", first->second, " or ", field->name(), ", not both"));
  }
  return absl::OkStatus();
}

// `key` is the member's, or what is left of it after a flat key's first part.
absl::Status Merger::MergeKey(absl::string_view key, const Member& member, const Field* hidden,
                              const std::string& path, Message& message) {
  const Descriptor& descriptor = *message.GetDescriptor();
  const bool at_top = &message == &config_;
  if (at_top && key == "passes" && skip_passes_) {
    Note(member, "this action runs no passes; transform and train do");
    return absl::OkStatus();
  }
  if (at_top && key == "search" && skip_search_) return absl::OkStatus();

  const Field* field = descriptor.FindFieldByName(std::string(key));
  if (field != nullptr && field != hidden) return MergeField(*field, member.value, path, message);
  if (at_top) {
    static const auto* const aliases =
        new std::vector<FieldAlias>(Aliases(*RunConfig::descriptor()));
    for (const FieldAlias& alias : *aliases) {
      if (alias.name == key) return MergeAlias(alias.path, member.value);
    }
  }
  if (const absl::optional<FlatKey> flat = FindFlatKey(descriptor, key)) {
    Message& inner = *message.GetReflection()->MutableMessage(&message, flat->field);
    return MergeKey(flat->rest, member, nullptr, FieldPath(path, *flat->field), inner);
  }
  MASE_ASSIGN_OR_RETURN(const ConfigValue opened, Opened(member.value, *source_));
  if (const Field* rest = CatchAll(descriptor); Catches(rest, opened)) {
    const ConfigValue table{ValueTable{{std::string(key), member.position, opened}},
                            member.position};
    return MergeField(*rest, table, path, message);
  }
  if (const IgnoredKey* ignored = at_top ? FindIgnoredSetting(key) : FindIgnoredPassOption(key)) {
    Note(member, ignored->reason);
    return absl::OkStatus();
  }
  return UnknownKey(member, hidden, path, message);
}

absl::Status Merger::MergeAlias(const std::vector<const Field*>& alias, const ConfigValue& value) {
  Message* message = &config_;
  std::string path;
  for (size_t i = 0; i + 1 < alias.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, alias[i]);
    path = FieldPath(path, *alias[i]);
  }
  return MergeField(*alias.back(), value, path, *message);
}

// `path` is the message's.
absl::Status Merger::MergeField(const Field& field, const ConfigValue& value,
                                const std::string& path, Message& message) {
  if (const RawText* raw = std::get_if<RawText>(&value.data)) {
    // `--dataset 7` is a name because dataset.name is a string.
    const bool for_scalar_key = IsSubMessage(field) &&
                                ScalarKey(*field.message_type()) != nullptr &&
                                !absl::StartsWith(raw->text, "{");
    if (for_scalar_key) return MergeMessage(field, value, FieldPath(path, field), message);
    return MergeField(field, Resolve(value, field), path, message);
  }
  if (value.is_null()) {
    const ConfigValue word = Resolve(value, field);
    return word.is_null() ? Unset(field, value, path, message)
                          : MergeField(field, word, path, message);
  }
  if (field.is_repeated()) return MergeRepeated(field, value, FieldPath(path, field), message);
  if (IsMessage(field)) return MergeMessage(field, value, FieldPath(path, field), message);
  const absl::Status status = SetScalar(value, field, *source_, message);
  const std::string field_path = FieldPath(path, field);
  if (!status.ok()) return Error(value.position, field_path, status.message());
  Record(field_path, value);
  return absl::OkStatus();
}

// `path` is the field's, here and in what follows.
absl::Status Merger::MergeMessage(const Field& field, const ConfigValue& value,
                                  const std::string& path, Message& message) {
  const Descriptor& type = *field.message_type();
  if (type.full_name() == "google.protobuf.Any") return MergeOptions(value, path, message);
  const bool begins = field.options().GetExtension(on_demand) &&
                      !message.GetReflection()->HasField(message, &field);
  Message& inner = *message.GetReflection()->MutableMessage(&message, &field);
  if (begins) MASE_RETURN_IF_ERROR(FillDefaults(path, inner));
  if (auto* free_form = dynamic_cast<google::protobuf::Struct*>(&inner)) {
    if (value.table() == nullptr) return Error(value.position, path, "want a table");
    MergeIntoStruct(*value.table(), *free_form);
    Record(path, value);
    return absl::OkStatus();
  }
  if (value.table() != nullptr) return MergeTable(*value.table(), nullptr, path, inner);
  if (const Field* scalar = ScalarKey(type)) return MergeField(*scalar, value, path, inner);
  return Error(value.position, path, absl::StrCat("want a table, got ", ShowValue(value)));
}

absl::Status Merger::MergeRepeated(const Field& field, const ConfigValue& value,
                                   const std::string& path, Message& message) {
  if (value.table() != nullptr && KeyField(field) != nullptr) {
    return MergeKeyedTable(field, *value.table(), path, message);
  }
  if (value.list() != nullptr && !field.is_map()) {
    return MergeList(field, *value.list(), path, message);
  }
  if (!IsMessage(field)) return MergeList(field, {value}, path, message);
  const char* want = field.is_map() ? "want a table" : "want a list of tables";
  return Error(value.position, path, absl::StrCat(want, ", got ", ShowValue(value)));
}

absl::Status Merger::MergeKeyedTable(const Field& field, const ValueTable& table,
                                     const std::string& path, Message& message) {
  for (const Member& member : table) {
    errors_.Add(MergeKeyedMember(field, member, path, message));
  }
  return absl::OkStatus();
}

absl::Status Merger::MergeKeyedMember(const Field& field, const Member& member,
                                      const std::string& path, Message& message) {
  const std::string element_path = Child(path, member.key);
  MASE_ASSIGN_OR_RETURN(const ConfigValue value, Opened(member.value, *source_));
  MASE_ASSIGN_OR_RETURN(Message * element,
                        FindOrAdd(field, member.key, value, element_path, message));
  if (field.is_map()) {
    return MergeField(*field.message_type()->map_value(), value, element_path, *element);
  }
  if (value.table() != nullptr) {
    return MergeTable(*value.table(), KeyField(field), element_path, *element);
  }
  if (const Field* scalar = ScalarKey(*field.message_type())) {
    return MergeField(*scalar, value, element_path, *element);
  }
  return Error(value.position, element_path, absl::StrCat("want a table, got ", ShowValue(value)));
}

absl::Status Merger::MergeList(const Field& field, const ValueList& list, const std::string& path,
                               Message& message) {
  // --goal A --goal B: flags of one list add up.
  const int level = static_cast<int>(source_->level);
  const auto known = record_.find(path);
  const bool adds = source_->level == Level::kFlag && !IsMessage(field) && known != record_.end() &&
                    known->second[level].has_value();
  const std::string before = adds ? known->second[level]->text : "";
  if (!adds) Forget(field, message);
  for (const ConfigValue& item : list) {
    if (IsMessage(field)) {
      errors_.Add(MergeElement(field, item, path, message));
      continue;
    }
    if (HoldsValues(field)) {
      Message& added = *message.GetReflection()->AddMessage(&message, &field);
      SetStructValue(item, static_cast<google::protobuf::Value&>(added));
      continue;
    }
    const absl::Status status = SetScalar(Resolve(item, field), field, *source_, message);
    if (!status.ok()) errors_.Add(Error(item.position, path, status.message()));
  }
  if (IsMessage(field)) return absl::OkStatus();
  Record(path, {list, list.empty() ? Position() : list[0].position});  // A list's own nobody keeps.
  if (!adds) return absl::OkStatus();
  std::string& text = record_[path][level]->text;
  text = absl::StrCat(absl::StripSuffix(before, "]"), ", ", absl::StripPrefix(text, "["));
  return absl::OkStatus();
}

absl::Status Merger::MergeElement(const Field& field, const ConfigValue& item,
                                  const std::string& path, Message& message) {
  const Field* key = KeyField(field);
  // A keyed element may be given by its key alone: passes = ["report_graph"].
  const ConfigValue* name = key != nullptr && item.string() != nullptr ? &item : nullptr;
  if (name == nullptr && item.table() == nullptr) {
    return Error(item.position, path, absl::StrCat("want a table, got ", ShowValue(item)));
  }
  if (key != nullptr && name == nullptr) {
    const Member* member = FindMember(*item.table(), key->name());
    if (member == nullptr || member->value.string() == nullptr || member->value.string()->empty()) {
      return Error(item.position, path, absl::StrCat("each entry needs a ", key->name()));
    }
    name = &member->value;
  }
  Message& element = *message.GetReflection()->AddMessage(&message, &field);
  std::string element_path = path;
  if (key != nullptr) {
    MASE_RETURN_IF_ERROR(SetScalar(*name, *key, *source_, element));
    element_path = Child(path, KeyOf(element, *key));
  }
  if (element.GetDescriptor() == PassConfig::descriptor()) {
    MASE_RETURN_IF_ERROR(OpenOptions(*name, element_path, element).status());
  }
  if (item.table() == nullptr) return absl::OkStatus();
  for (const Member& member : *item.table()) {
    if (&member.value == name) continue;
    errors_.Add(MergeKey(member.key, member, key, element_path, element));
  }
  return absl::OkStatus();
}

absl::Status Merger::MergeOptions(const ConfigValue& given, const std::string& path,
                                  Message& pass) {
  MASE_ASSIGN_OR_RETURN(const ConfigValue value, Opened(given, *source_));
  if (value.table() == nullptr) {
    return Error(value.position, path, absl::StrCat("want a table, got ", ShowValue(value)));
  }
  MASE_ASSIGN_OR_RETURN(Message * options, OpenOptions(value, path, pass));
  for (const Member& member : *value.table()) {
    if (member.key == "@type") {  // As JSON and text protos name the type in an Any.
      const std::string want = options->GetDescriptor()->full_name();
      const std::string* given = member.value.string();
      const std::string got =
          given == nullptr ? "" : std::vector<std::string>(absl::StrSplit(*given, '/')).back();
      if (got == want) continue;
      return Error(member.position, path,
                   absl::StrCat("its options are a ", want, ", not a ", got));
    }
    errors_.Add(MergeKey(member.key, member, nullptr, path, *options));
  }
  return absl::OkStatus();
}

absl::Status Merger::Unset(const Field& field, const ConfigValue& value, const std::string& path,
                           Message& message) {
  Forget(field, message);
  if (message.GetDescriptor() == PassConfig::descriptor() && IsMessage(field)) {
    return OpenOptions(value, path, message).status();  // Defaults; a pass always has options.
  }
  if (const std::string& text = field.options().GetExtension(setting).default_value();
      !text.empty()) {
    const ConfigValue fallback = Resolve({RawText{text}, Position()}, field);
    MASE_RETURN_IF_ERROR(SetScalar(fallback, field, *source_, message));
  } else if (IsSubMessage(field)) {
    // Its fields have their defaults again.
    Message& inner = *message.GetReflection()->MutableMessage(&message, &field);
    MASE_RETURN_IF_ERROR(FillDefaults(FieldPath(path, field), inner));
  }
  Record(FieldPath(path, field), value);
  return absl::OkStatus();
}

absl::StatusOr<Message*> Merger::FindOrAdd(const Field& field, const std::string& key,
                                           const ConfigValue& value, const std::string& path,
                                           Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const Field& key_field = *KeyField(field);
  if (key_field.cpp_type() != Field::CPPTYPE_STRING) {
    return absl::UnimplementedError(absl::StrCat(field.full_name(), ": keys must be strings"));
  }
  if (key.empty()) return Error(value.position, path, "a name must not be empty");
  const auto [found, is_new] = indexes_.try_emplace({&message, &field});
  ElementIndex& index = found->second;
  for (int i = 0; is_new && i < reflection.FieldSize(message, &field); ++i) {
    Message& element = *reflection.MutableRepeatedMessage(&message, &field, i);
    const auto [known, first] = index.try_emplace(KeyOf(element, key_field), &element);
    if (!first) known->second = nullptr;
  }
  if (const auto known = index.find(key); known != index.end()) {
    if (known->second != nullptr) return known->second;
    return Error(value.position, path, "several entries have this name; give them as a list");
  }
  Message& element = *reflection.AddMessage(&message, &field);
  element.GetReflection()->SetString(&element, &key_field, key);
  index.emplace(key, &element);
  if (element.GetDescriptor() == PassConfig::descriptor()) {
    MASE_RETURN_IF_ERROR(OpenOptions(value, path, element).status());
  }
  return &element;
}

absl::StatusOr<Message*> Merger::OpenOptions(const ConfigValue& value, const std::string& path,
                                             Message& pass) {
  if (const auto open = options_.find(&pass); open != options_.end()) return open->second.get();
  const std::string& name = static_cast<const PassConfig&>(pass).name();
  const absl::StatusOr<const Descriptor*> type = resolve_pass_(name);
  if (!type.ok()) return Annotate(type.status(), Where(source_->name, value.position));
  Message* options = options_.emplace(&pass, OptionsPrototype(**type).New()).first->second.get();
  MASE_RETURN_IF_ERROR(FillDefaults(path, *options));
  return options;
}

absl::Status Merger::FillDefaults(const std::string& path, Message& message) {
  const Source defaults{Level::kDefault, "default", ""};
  const Source* const outer = std::exchange(source_, &defaults);
  absl::Status status;
  for (const auto& leaf : LeafPaths(*message.GetDescriptor())) {
    const std::string& text = leaf.back()->options().GetExtension(setting).default_value();
    if (text.empty() || !status.ok()) continue;
    Message* parent = &message;
    std::string parent_path = path;
    for (size_t i = 0; i + 1 < leaf.size(); ++i) {
      parent = parent->GetReflection()->MutableMessage(parent, leaf[i]);
      parent_path = FieldPath(parent_path, *leaf[i]);
    }
    status = MergeField(*leaf.back(), {RawText{text}, Position()}, parent_path, *parent);
  }
  source_ = outer;
  return status;
}

// Clears a field, and what is remembered about its elements.
void Merger::Forget(const Field& field, Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (IsMessage(field)) indexes_.clear();
  if (&message == &config_ && field.name() == "passes") options_.clear();
  if (field.containing_type() == PassConfig::descriptor() && IsMessage(field)) {
    options_.erase(&message);
  }
  reflection.ClearField(&message, &field);
}

absl::Status Merger::Error(Position position, absl::string_view path,
                           absl::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat(Where(source_->name, position), ": ", path, ": ", what));
}

absl::Status Merger::UnknownKey(const Member& member, const Field* hidden, const std::string& path,
                                const Message& message) const {
  std::vector<std::string> known = KnownKeys(*message.GetDescriptor());
  if (hidden != nullptr) known.erase(absl::c_find(known, hidden->name()));
  for (const auto& [pass, options] : options_) {  // A pass's table holds its own keys, too.
    if (options.get() == &message) known.insert(known.end(), {"label", "allow_unchanged"});
  }
  if (&message == &config_) {
    for (const FieldAlias& alias : Aliases(*RunConfig::descriptor())) known.push_back(alias.name);
  }
  const std::string here =
      &message == &config_ ? NameFromElsewhere(member.key, *RunConfig::descriptor()) : "";
  const std::string in = path.empty() ? "" : absl::StrCat(" in [", path, "]");
  return absl::InvalidArgumentError(absl::StrCat(
      Where(source_->name, member.position), ": unknown key '", member.key, "'", in,
      here.empty() ? Suggest(member.key, known) : absl::StrCat("; did you mean '", here, "'?")));
}

void Merger::Record(const std::string& path, const ConfigValue& value) {
  const std::string text = value.string() != nullptr ? *value.string() : ShowValue(value);
  record_[path][static_cast<int>(source_->level)] =
      Given{text, Where(source_->name, value.position)};
}

void Merger::Note(const Member& member, absl::string_view reason) {
  notes_.push_back(absl::StrCat(Where(source_->name, member.position), ": '", member.key,
                                "' has no effect: ", reason));
}

}  // namespace mase
