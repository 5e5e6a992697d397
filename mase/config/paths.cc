#include "mase/config/paths.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/writable.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// What becomes of a path in a field.
using PathFunction = std::function<std::string(const FieldDescriptor&, const std::string&)>;

std::string From(const fs::path& folder, const std::string& path) {
  if (path.empty() || fs::path(path).is_absolute()) return path;
  const std::string moved = fs::path(path).lexically_relative(folder).string();
  return moved.empty() ? path : moved;
}

void ForEachPath(const PathFunction& function, Message& message);

// Options of a pass; of a type that this program does not know they stay as they are.
void InAny(const PathFunction& function, google::protobuf::Any& any) {
  const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return;
  const std::unique_ptr<Message> inner(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  if (!inner->ParseFromString(any.value())) return;
  ForEachPath(function, *inner);
  any.set_value(inner->SerializeAsString());
}

void InTexts(const PathFunction& function, const FieldDescriptor& field, Message& message) {
  const Reflection& r = *message.GetReflection();
  if (!field.is_repeated()) {
    r.SetString(&message, &field, function(field, r.GetString(message, &field)));
    return;
  }
  for (int i = 0; i < r.FieldSize(message, &field); ++i) {
    r.SetRepeatedString(&message, &field, i,
                        function(field, r.GetRepeatedString(message, &field, i)));
  }
}

// Messages nest as deep as their types do.
void ForEachPath(const PathFunction& function, Message& message) {
  if (message.GetDescriptor() == google::protobuf::Any::descriptor()) {
    return InAny(function, static_cast<google::protobuf::Any&>(message));
  }
  const Reflection& r = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (field->options().GetExtension(path)) InTexts(function, *field, message);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field->is_repeated()) {
      for (int i = 0; i < r.FieldSize(message, field); ++i) {
        ForEachPath(function, *r.MutableRepeatedMessage(&message, field, i));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ForEachPath(function, *r.MutableMessage(&message, field));
    }
  }
}

}  // namespace

RunConfig WithPathsFrom(absl::string_view folder, const RunConfig& settings) {
  RunConfig moved = settings;
  const fs::path from{std::string(folder)};
  ForEachPath([&](const FieldDescriptor&, const std::string& path) { return From(from, path); },
              moved);
  return moved;
}

std::vector<NamedPath> PathsIn(const Message& message, PathUse use) {
  std::vector<NamedPath> paths;
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  ForEachPath(
      [&](const FieldDescriptor& field, const std::string& path) {
        const bool is_written = field.options().GetExtension(written);
        if (!path.empty() && is_written == (use == PathUse::kWritten)) {
          paths.push_back({field.name(), path});
        }
        return path;
      },
      *copy);
  return paths;
}

absl::Status CheckNothingReadIsWritten(absl::Span<const NamedPath> written,
                                       absl::Span<const NamedPath> read) {
  std::map<fs::path, absl::string_view> outputs;  // Which flag writes it.
  for (const NamedPath& output : written) {
    std::error_code error;  // Folders have rules of their own, and what is no file takes them all.
    if (fs::is_directory(output.path, error) || fs::is_other(output.path, error)) continue;
    const fs::path file = fs::weakly_canonical(output.path, error);
    if (const auto [other, is_new] = outputs.emplace(file, output.field); !error && !is_new) {
      return absl::InvalidArgumentError(absl::StrCat("--", output.field, ": ", output.path,
                                                     ": is written by --", other->second,
                                                     ", too; name another"));
    }
    for (const NamedPath& input : read) {
      MASE_RETURN_IF_ERROR(
          Annotate(CheckNotRead(output.path, input.path), absl::StrCat("--", output.field)));
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
