#include "mase/config/complete.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/config/scalar.h"
#include "mase/config/schema.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Gives the fields of an empty message the default_value of each.
absl::Status SetDefaults(Message& message) {
  const Source source{Level::kDefault, "default", ""};
  for (const auto& path : LeafPaths(*message.GetDescriptor())) {
    const FieldDescriptor& leaf = *path.back();
    const std::string& text = leaf.options().GetExtension(setting).default_value();
    if (text.empty() || leaf.is_repeated()) continue;
    Message* parent = &message;
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      parent = parent->GetReflection()->MutableMessage(parent, path[i]);
    }
    const ConfigValue value = Resolve({RawText{text}, Position()}, leaf);
    MASE_RETURN_IF_ERROR(Annotate(SetScalar(value, leaf, source, *parent), leaf.name()));
  }
  return absl::OkStatus();
}

// The defaults of a type of the program or of a plugin, neither of which is ever unloaded; worked
// out once. What is known is never changed.
absl::StatusOr<const Message*> KnownDefaults(const Descriptor& type) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const of_type = new absl::flat_hash_map<const Descriptor*, const Message*>;
  const absl::MutexLock lock(&mutex);
  const Message*& known = (*of_type)[&type];
  if (known == nullptr) {
    std::unique_ptr<Message> made(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
    MASE_RETURN_IF_ERROR(SetDefaults(*made));
    known = made.release();
  }
  return known;
}

absl::Status FillDefaults(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const std::unique_ptr<Message> filled(message.New());
  if (type.file()->pool() == DescriptorPool::generated_pool()) {
    MASE_ASSIGN_OR_RETURN(const Message* const defaults, KnownDefaults(type));
    filled->CopyFrom(*defaults);
  } else {
    // A type that was described at run time may go, and another be described at its place.
    MASE_RETURN_IF_ERROR(SetDefaults(*filled));
  }
  filled->MergeFrom(message);
  message.GetReflection()->Swap(&message, filled.get());
  return absl::OkStatus();
}

absl::Status CheckEnum(int number, const EnumDescriptor& type) {
  if (type.FindValueByNumber(number) != nullptr) return absl::OkStatus();
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return absl::InvalidArgumentError(
      absl::StrCat(number, " is none of ", absl::StrJoin(names, ", ")));
}

// One value of a field; `index` is -1 where it is not repeated.
absl::Status CheckScalar(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto one, auto of_many) {
    return index < 0 ? (reflection.*one)(message, &field)
                     : (reflection.*of_many)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return CheckRange(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32), field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return CheckRange(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32), field);
    case FieldDescriptor::CPPTYPE_INT64:
      return CheckRange(
          static_cast<double>(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64)), field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return CheckRange(
          static_cast<double>(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64)), field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return CheckRange(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat), field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return CheckRange(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble), field);
    case FieldDescriptor::CPPTYPE_STRING:
      return CheckAllowed(get(&Reflection::GetString, &Reflection::GetRepeatedString), field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnum(get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue),
                       *field.enum_type());
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteMessage(Message& message) {
  MASE_RETURN_IF_ERROR(FillDefaults(message));
  // Messages to check, each with its path. Unset fields without a default are not checked.
  std::vector<std::pair<const Message*, std::string>> open = {{&message, ""}};
  while (!open.empty()) {
    const auto [at, path] = open.back();
    open.pop_back();
    const Reflection& reflection = *at->GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(*at, &fields);
    for (const FieldDescriptor* field : fields) {
      const std::string name = absl::StrCat(path, path.empty() ? "" : ".", field->name());
      const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
      const int count = field->is_repeated() ? reflection.FieldSize(*at, field) : 1;
      for (int i = 0; i < count; ++i) {
        const int index = field->is_repeated() ? i : -1;
        if (!is_message) {
          MASE_RETURN_IF_ERROR(Annotate(CheckScalar(*at, *field, index), name));
        } else if (index < 0) {
          open.emplace_back(&reflection.GetMessage(*at, field), name);
        } else {
          open.emplace_back(&reflection.GetRepeatedMessage(*at, field, i), name);
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
