#include "mase/config/schema.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr char kHardware[] = "hardware generation is not part of this tool";
constexpr char kLanguage[] = "language models are not part of this tool";
constexpr char kCluster[] = "runs are not scheduled by this tool";

constexpr IgnoredKey kIgnoredSettings[] = {
    {"report_to", "", false, "TensorBoard files are always written, and nothing else"},
    {"profile", "", true, "use a profiler, such as perf"},
    {"is_to_auto_requeue", "auto_requeue", true, kCluster},
    {"github_ci", "", true, kHardware},
    {"target", "", false, kHardware},
    {"num_targets", "", false, kHardware},
    {"run_emit", "", true, kHardware},
    {"skip_build", "", true, kHardware},
    {"skip_test", "", true, kHardware},
    {"quant_config", "", false, kLanguage},
    {"disable_dataset_cache", "", true, kLanguage},
    {"is_pretrained", "pretrained", true, kLanguage},
    {"max_token_len", "", false, kLanguage},
};

constexpr IgnoredKey kIgnoredPassOptions[] = {
    {"report", "", true, "nothing reads it, in MASE neither"},
};

bool IsWellKnown(const Descriptor& message) {
  return absl::StartsWith(message.full_name(), "google.protobuf.");
}

// Messages are declared by programmers, so their depth is small; a message that
// holds itself is cut off here.
constexpr int kMaxDepth = 4;

void CollectLeaves(const Descriptor& message, std::vector<const FieldDescriptor*>& path,
                   std::vector<std::vector<const FieldDescriptor*>>& leaves) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    path.push_back(&field);
    if (!IsSubMessage(field)) {
      leaves.push_back(path);
    } else if (path.size() < kMaxDepth) {
      CollectLeaves(*field.message_type(), path, leaves);
    }
    path.pop_back();
  }
}

}  // namespace

bool IsSubMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_repeated() &&
         !IsWellKnown(*field.message_type()) && !field.options().GetExtension(on_demand);
}

std::vector<std::vector<const FieldDescriptor*>> LeafPaths(const Descriptor& message) {
  std::vector<std::vector<const FieldDescriptor*>> leaves;
  std::vector<const FieldDescriptor*> path;
  CollectLeaves(message, path, leaves);
  return leaves;
}

std::vector<FieldAlias> Aliases(const Descriptor& message) {
  std::vector<FieldAlias> aliases;
  for (const auto& path : LeafPaths(message)) {
    for (const std::string& name : path.back()->options().GetExtension(setting).alias()) {
      aliases.push_back({name, path});
    }
  }
  return aliases;
}

const FieldDescriptor* ScalarKey(const Descriptor& message) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->options().GetExtension(scalar_key)) return message.field(i);
  }
  return nullptr;
}

const FieldDescriptor* CatchAll(const Descriptor& message) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->options().GetExtension(catch_all)) return message.field(i);
  }
  return nullptr;
}

const FieldDescriptor* KeyField(const FieldDescriptor& field) {
  if (field.is_map()) return field.message_type()->map_key();
  const std::string& name = field.options().GetExtension(keyed_by);
  return name.empty() ? nullptr : field.message_type()->FindFieldByName(name);
}

absl::optional<FlatKey> FindFlatKey(const Descriptor& message, absl::string_view key) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    absl::string_view rest = key;
    if (!IsSubMessage(field) || !absl::ConsumePrefix(&rest, field.name()) ||
        !absl::ConsumePrefix(&rest, "_")) {
      continue;
    }
    const Descriptor& inner = *field.message_type();
    if (inner.FindFieldByName(std::string(rest)) != nullptr || FindFlatKey(inner, rest)) {
      return FlatKey{&field, rest};
    }
  }
  return absl::nullopt;
}

std::string NameFromElsewhere(absl::string_view name, const Descriptor& message) {
  for (const auto& path : LeafPaths(message)) {
    const Setting& about = path.back()->options().GetExtension(setting);
    if (!absl::c_linear_search(about.elsewhere(), name)) continue;
    return path.size() == 1 || about.alias().empty() ? path.back()->name() : about.alias(0);
  }
  return "";
}

std::vector<std::string> FieldNames(const Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return names;
}

std::vector<std::string> KnownKeys(const Descriptor& message) {
  std::vector<std::string> keys = FieldNames(message);
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (!IsSubMessage(field)) continue;
    for (int j = 0; j < field.message_type()->field_count(); ++j) {
      keys.push_back(absl::StrCat(field.name(), "_", field.message_type()->field(j)->name()));
    }
  }
  return keys;
}

const IgnoredKey* FindIgnoredSetting(absl::string_view key) {
  for (const IgnoredKey& ignored : kIgnoredSettings) {
    if (key == ignored.key || (key == ignored.other_flag && !key.empty())) return &ignored;
  }
  return nullptr;
}

const IgnoredKey* FindIgnoredPassOption(absl::string_view key) {
  for (const IgnoredKey& ignored : kIgnoredPassOptions) {
    if (key == ignored.key) return &ignored;
  }
  return nullptr;
}

}  // namespace mase
