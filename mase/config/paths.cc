#include "mase/config/paths.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string From(const fs::path& folder, const std::string& path) {
  if (path.empty() || fs::path(path).is_absolute()) return path;
  const std::string moved = fs::path(path).lexically_relative(folder).string();
  return moved.empty() ? path : moved;
}

void Move(const fs::path& folder, Message& message);

// Options of a pass; of a type that this program does not know they stay as they are.
void MoveAny(const fs::path& folder, google::protobuf::Any& any) {
  const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return;
  const std::unique_ptr<Message> inner(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  if (!inner->ParseFromString(any.value())) return;
  Move(folder, *inner);
  any.set_value(inner->SerializeAsString());
}

void MoveTexts(const fs::path& folder, const FieldDescriptor& field, Message& message) {
  const Reflection& r = *message.GetReflection();
  if (!field.is_repeated()) {
    r.SetString(&message, &field, From(folder, r.GetString(message, &field)));
    return;
  }
  for (int i = 0; i < r.FieldSize(message, &field); ++i) {
    r.SetRepeatedString(&message, &field, i, From(folder, r.GetRepeatedString(message, &field, i)));
  }
}

// Messages nest as deep as their types do.
void Move(const fs::path& folder, Message& message) {
  if (message.GetDescriptor() == google::protobuf::Any::descriptor()) {
    return MoveAny(folder, static_cast<google::protobuf::Any&>(message));
  }
  const Reflection& r = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (field->options().GetExtension(path)) MoveTexts(folder, *field, message);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field->is_repeated()) {
      for (int i = 0; i < r.FieldSize(message, field); ++i) {
        Move(folder, *r.MutableRepeatedMessage(&message, field, i));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Move(folder, *r.MutableMessage(&message, field));
    }
  }
}

}  // namespace

RunConfig WithPathsFrom(absl::string_view folder, const RunConfig& settings) {
  RunConfig moved = settings;
  Move(fs::path(std::string(folder)), moved);
  return moved;
}

}  // namespace mase
