// PluginLoader: passes by name, from shared objects that are opened when needed.
//
//   bundled      plugins/<name>/<name>.so in the runfiles, listed in an index that
//                the build wrote; opened when one of its passes is looked up
//   third-party  opened by path, before any lookup
//
// A plugin links none of the core; this program exports it (:host in BUILD). It is
// refused with PermissionDenied, naming what both sides have, when it is not a
// whole ELF shared object, misses symbols, was built otherwise (struct size, ABI
// version, build signature), has another name than its file, fails to register, or
// has a pass whose name is taken. Plugins are never closed: passes, messages and
// their types live in them.
#ifndef MASE_PLUGIN_PLUGIN_LOADER_H_
#define MASE_PLUGIN_PLUGIN_LOADER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_index.pb.h"

namespace mase {

class PluginLoader : public PassSource {
 public:
  // Reads the index of bundled plugins; DataLoss if it cannot be read, as the
  // installation is broken then.
  static absl::StatusOr<std::unique_ptr<PluginLoader>> Create();

  // A loader with another index, whose plugins lie in `folder` as <name>/<name>.so.
  PluginLoader(PluginIndex index, std::string folder);
  PluginLoader(const PluginLoader&) = delete;
  PluginLoader& operator=(const PluginLoader&) = delete;

  // Opens a third-party plugin. OK if that file is open already. NotFound if there
  // is no such file; PermissionDenied as above. A refused plugin registers nothing.
  absl::StatusOr<PluginEntry> Open(absl::string_view path);

  // By name or alias; opens the plugin that has it. NotFound, with the nearest
  // name, if none has.
  absl::StatusOr<const PassInfo*> LookUp(absl::string_view name) override;

  // All passes, bundled and opened, sorted by name.
  std::vector<PassEntry> List() const;

  // What the bundled plugins have.
  const PluginIndex& index() const { return index_; }

  // Names and versions of the plugins opened so far, for reports.
  absl::Span<const PluginEntry> opened() const { return opened_; }

 private:
  absl::StatusOr<PluginEntry> Register(const std::string& path, void* handle);
  absl::Status CheckNamesAreFree(const std::string& path, const PassInfo& pass) const;
  std::string BundledPath(const PluginEntry& plugin) const;

  const std::string folder_;
  const PluginIndex index_;
  // Bundled names and aliases.
  absl::flat_hash_map<std::string, const PluginEntry*> bundled_;
  PassRegistry registry_;
  std::vector<PluginEntry> opened_;
  absl::flat_hash_map<std::string, PluginEntry> opened_by_path_;  // By real path.
};

}  // namespace mase

#endif  // MASE_PLUGIN_PLUGIN_LOADER_H_
