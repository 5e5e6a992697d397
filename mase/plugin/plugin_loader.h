// PluginLoader: passes by name, from shared objects that are opened when needed.
//
//   bundled      plugins/<name>/<name>.so in the runfiles, listed in an index that
//                the build wrote; opened when one of its passes is looked up
//   third-party  opened by path, before any lookup
//
// A plugin links none of the core; this program exports it (:host in BUILD). It is refused with
// PermissionDenied, naming what both sides have and what to do, when others could have written it,
// it is another file than was pinned, it is no whole ELF shared object, was built otherwise
// (signature.h), brings proto files that there are, misses symbols, has another name than its file,
// fails to register, ends the program, or has a pass whose name is odd or taken. All but the last
// five are found out before any code of it runs. Plugins are never closed: passes, messages and
// their types live in them.
#ifndef MASE_PLUGIN_PLUGIN_LOADER_H_
#define MASE_PLUGIN_PLUGIN_LOADER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_file.h"
#include "mase/plugin/plugin_index.pb.h"
#include "mase/plugin/plugin_process.h"
#include "proto/config.pb.h"

namespace mase {

// Which plugins are opened, and where they run.
struct PluginPolicy {
  // Third-party ones must lie in one of them, links followed; none: anywhere.
  std::vector<std::string> folders = {};
  // Passes run in processes of their own (isolated_plugin.h), within these limits; unset: here.
  std::optional<IsolationLimits> isolation = std::nullopt;
  // Of a pass that runs here, which the pipeline keeps; in a process of its own it is one of those
  // limits.
  absl::Duration pass_limit = absl::InfiniteDuration();
};

// A pass, and whose it is.
struct KnownPass {
  const PassEntry* pass;
  const PluginEntry* plugin;
};

class PluginLoader : public PassSource {
 public:
  // Reads the index of bundled plugins; DataLoss if it cannot be read, as the
  // installation is broken then.
  static absl::StatusOr<std::unique_ptr<PluginLoader>> Create();

  // A loader with another index, whose plugins lie in `folder` as <name>/<name>.so.
  PluginLoader(PluginIndex index, std::string folder);
  PluginLoader(const PluginLoader&) = delete;
  PluginLoader& operator=(const PluginLoader&) = delete;

  // Of what is opened from now on.
  void set_policy(PluginPolicy policy) { policy_ = std::move(policy); }
  const PluginPolicy& policy() const { return policy_; }

  // Opens a third-party plugin; `sha256`, unless empty, is what the file must have. OK if that file
  // is open already. NotFound if there is no such file; InvalidArgument if it cannot be read;
  // PermissionDenied as above. A refused plugin registers nothing.
  absl::StatusOr<PluginEntry> Open(absl::string_view path, absl::string_view sha256 = "");

  // Opens a plugin that another process has read and checked, from the copy that it made
  // (plugin_file.h): nothing is read at `path`, which is for its name and for messages. Errors as
  // above, of what is found out by opening it.
  absl::StatusOr<PluginEntry> OpenCopy(const std::string& path, int descriptor);

  // By name or alias; opens the plugin that has it. NotFound, with the nearest
  // name, if none has.
  absl::StatusOr<const PassInfo*> LookUp(absl::string_view name) override;

  // All passes, bundled and opened, sorted by name. Valid until the next plugin is opened.
  std::vector<KnownPass> List() const;

  // What the bundled plugins have.
  const PluginIndex& index() const { return index_; }

  // Names and versions of the plugins opened so far, for reports.
  absl::Span<const PluginEntry> opened() const { return opened_; }

  // The third-party plugins opened so far, with their SHA-256: settings that open the same.
  absl::Span<const PluginConfig> pins() const { return pins_; }

 private:
  // Checks what was read and opens it.
  absl::StatusOr<PluginEntry> OpenFile(const std::string& path, const PluginFile& file);
  // Opens what was checked, by the path that the linker gets.
  absl::StatusOr<PluginEntry> Link(const std::string& path, const std::string& image,
                                   absl::string_view bytes);
  bool IsBundled(absl::string_view path) const;
  absl::StatusOr<PluginEntry> Register(const std::string& path, void* handle);
  absl::Status AddAll(const std::string& path, absl::Span<const PassInfo> passes);
  absl::Status CheckNames(const std::string& path, const PassInfo& pass) const;
  std::string BundledPath(const PluginEntry& plugin) const;

  const std::string folder_;
  const PluginIndex index_;
  PluginPolicy policy_;
  // Bundled names and aliases.
  absl::flat_hash_map<std::string, const PluginEntry*> bundled_;
  PassRegistry registry_;
  std::vector<PluginEntry> opened_;
  std::vector<PluginConfig> pins_;
  absl::flat_hash_map<std::string, PluginEntry> opened_by_path_;  // By real path.
};

}  // namespace mase

#endif  // MASE_PLUGIN_PLUGIN_LOADER_H_
