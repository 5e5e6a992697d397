#include "mase/run/resumed_settings.h"

#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/field_mask_util.h"
#include "mase/base/status_macros.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

// Settings that change no number of a training.
constexpr absl::string_view kChangesNoNumber[] = {"log_every_n_steps", "checkpoint_every_n_steps",
                                                  "log_level",         "no_warnings",
                                                  "accelerator",       "num_workers",
                                                  "num_devices",       "num_nodes",
                                                  "strategy",          "max_memory",
                                                  "plugin_dirs",       "isolation",
                                                  "pass_timeout"};

// The value at a path of the settings as text, to be compared; "" where it is not set. What is
// below a list is compared as the whole list.
std::string ValueAt(const RunConfig& config, absl::string_view path) {
  const google::protobuf::Message* message = &config;
  std::string value;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    const auto* field = message->GetDescriptor()->FindFieldByName(std::string(name));
    if (field == nullptr) break;
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        std::string element;
        google::protobuf::TextFormat::PrintFieldValueToString(*message, field, i, &element);
        absl::StrAppend(&value, element, "\n");
      }
      break;
    }
    if (!reflection.HasField(*message, field)) break;
    google::protobuf::TextFormat::PrintFieldValueToString(*message, field, -1, &value);
    if (field->message_type() == nullptr) break;
    message = &reflection.GetMessage(*message, field);
  }
  return value;
}

// The place of the highest level that gave a setting, or null where none but the default did.
const Given* LastGiven(const GivenByLevel& levels) {
  for (const Level level : {Level::kFlag, Level::kSet, Level::kFile}) {
    const auto& given = levels[static_cast<int>(level)];
    if (given.has_value()) return &*given;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<ResumedSettings> SettingsOf(const RunDirectory& run, const LoadedConfig& given,
                                           const ConfigRequest& request) {
  ConfigBuilder builder(request);
  MASE_RETURN_IF_ERROR(builder.AddFile(run.File(RunDirectory::kSettings)));
  ResumedSettings settings = {builder.Build().config};
  std::vector<std::string> refused;
  google::protobuf::FieldMask changes;
  for (const auto& [path, levels] : given.record) {
    const Given* last = LastGiven(levels);
    if (last == nullptr || path == "resume") continue;
    const std::string before = ValueAt(settings.config, path);
    if (before == ValueAt(given.config, path)) continue;
    if (absl::c_linear_search(kMayChangeOnResume, path) ||
        absl::c_linear_search(kChangesNoNumber, path)) {
      changes.add_paths(path);
    } else if (absl::StartsWith(path, "passes.")) {
      refused.push_back(absl::StrCat(last->where, ": ", path, "; the passes have run"));
    } else {
      refused.push_back(absl::StrCat(last->where, ": ", path, " is now ", last->text, ", was ",
                                     before.empty() ? "not set" : before));
    }
  }
  if (!refused.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--resume keeps the settings of the run; these cannot be others:\n  ",
        absl::StrJoin(refused, "\n  "), "\n  These can: ", absl::StrJoin(kMayChangeOnResume, ", "),
        ",\n  and what changes no number of the training (docs/training.md, Going on)"));
  }
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(given.config, changes, {},
                                                        &settings.config);
  settings.changed = changes.paths_size() > 0;
  return settings;
}

}  // namespace mase
