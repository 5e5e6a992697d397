#include "mase/cli/plugin_flags.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/config/config.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

constexpr char kProcess[] = "process";  // RunConfig.isolation

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

// Of a run that goes on, or whose pass is run again: its plugins, and where it was stricter, that.
void TakeOver(const RunConfig& recorded, RunConfig& config) {
  if (config.plugins().empty()) *config.mutable_plugins() = recorded.plugins();
  if (config.plugin_dirs().empty()) *config.mutable_plugin_dirs() = recorded.plugin_dirs();
  if (recorded.isolation() == kProcess) config.set_isolation(kProcess);
  if (!recorded.has_pass_timeout()) return;
  config.set_pass_timeout(config.has_pass_timeout()
                              ? std::min(config.pass_timeout(), recorded.pass_timeout())
                              : recorded.pass_timeout());
}

PluginPolicy PolicyOf(const RunConfig& config) {
  PluginPolicy policy = {.folders = {config.plugin_dirs().begin(), config.plugin_dirs().end()}};
  if (config.has_pass_timeout()) policy.pass_limit = absl::Seconds(config.pass_timeout());
  if (config.isolation() != kProcess) return policy;
  policy.isolation = {.pass_limit = policy.pass_limit};
  if (const auto memory = ParseMemorySize(config.max_memory()); memory.ok()) {
    policy.isolation->memory_bytes = *memory;
  }
  return policy;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PluginLoader>> OpenPlugins(
    const Arguments& arguments, const google::protobuf::RepeatedPtrField<std::string>& flagged,
    const RunConfig* recorded) {
  MASE_RETURN_IF_ERROR(CheckNamesFolders(arguments));
  // Without the passes, whose options nobody knows yet. Before anything is opened, all that says
  // what may be must have been read.
  const ConfigRequest without_passes = {nullptr, /*read_passes=*/false};
  MASE_ASSIGN_OR_RETURN(const LoadedConfig loaded, LoadConfig(arguments, without_passes));
  RunConfig config = loaded.config;
  if (recorded != nullptr) TakeOver(*recorded, config);
  if (config.has_resume()) {
    ConfigBuilder begun(without_passes);
    const std::filesystem::path folder = config.resume();
    if (begun.AddFile((folder / RunDirectory::kSettings).string()).ok()) {
      TakeOver(begun.Build().config, config);
    }
  }
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginLoader> loader, PluginLoader::Create());
  loader->set_policy(PolicyOf(config));
  for (const PluginConfig& plugin : config.plugins()) {
    MASE_RETURN_IF_ERROR(loader->Open(plugin.path(), plugin.sha256()).status());
  }
  for (const std::string& path : flagged) MASE_RETURN_IF_ERROR(loader->Open(path).status());
  return loader;
}

void PinPlugins(const PluginLoader& loader, RunConfig& config) {
  config.mutable_plugins()->Assign(loader.pins().begin(), loader.pins().end());
  const PluginPolicy& policy = loader.policy();
  config.mutable_plugin_dirs()->Assign(policy.folders.begin(), policy.folders.end());
  if (policy.isolation.has_value()) config.set_isolation(kProcess);
  if (policy.pass_limit != absl::InfiniteDuration()) {
    config.set_pass_timeout(absl::ToDoubleSeconds(policy.pass_limit));
  }
}

}  // namespace mase
