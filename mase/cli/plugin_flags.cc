#include "mase/cli/plugin_flags.h"

#include <filesystem>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/config/config.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

absl::Status CheckNamesFolders(const Arguments& arguments) {
  for (const auto& [flag, text] : arguments.process) {
    if (flag != "plugins") continue;
    for (const absl::string_view path : absl::StrSplit(text, ',', absl::SkipEmpty())) {
      if (absl::StrContains(path, '/')) continue;
      return absl::PermissionDeniedError(absl::StrCat(
          "plugin ", Quoted(path), " refused: it is named without its folder; write ./",
          Printable(path), " if you mean the one in the working directory"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PluginLoader>> OpenPlugins(
    const Arguments& arguments, const google::protobuf::RepeatedPtrField<std::string>& flagged) {
  MASE_RETURN_IF_ERROR(CheckNamesFolders(arguments));
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginLoader> loader, PluginLoader::Create());
  // Without the passes, whose options nobody knows yet. What is wrong with the settings is said
  // when they are read again.
  const ConfigRequest without_passes = {nullptr, /*read_passes=*/false};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(arguments, without_passes);
  RunConfig config = loaded.ok() ? loaded->config : RunConfig();
  if (config.has_resume()) {
    ConfigBuilder begun(without_passes);
    const std::filesystem::path folder = config.resume();
    if (begun.AddFile((folder / RunDirectory::kSettings).string()).ok()) {
      const RunConfig before = begun.Build().config;
      if (config.plugins().empty()) *config.mutable_plugins() = before.plugins();
    }
  }
  PluginPolicy policy = {.folders = {config.plugin_dirs().begin(), config.plugin_dirs().end()}};
  if (config.isolation() == "process") {
    policy.isolation = {.memory_bytes = limits::kIsolatedMemoryBytes,
                        .cpu_seconds = limits::kIsolatedCpuSeconds};
    if (config.has_pass_timeout()) {
      policy.isolation->pass_limit = absl::Seconds(config.pass_timeout());
    }
    if (const auto memory = ParseMemorySize(config.max_memory()); memory.ok()) {
      policy.isolation->memory_bytes = *memory;
    }
  }
  loader->set_policy(std::move(policy));
  for (const PluginConfig& plugin : config.plugins()) {
    MASE_RETURN_IF_ERROR(loader->Open(plugin.path(), plugin.sha256()).status());
  }
  for (const std::string& path : flagged) MASE_RETURN_IF_ERROR(loader->Open(path).status());
  return loader;
}

void PinPlugins(const PluginLoader& loader, RunConfig& config) {
  config.mutable_plugins()->Assign(loader.pins().begin(), loader.pins().end());
}

}  // namespace mase
