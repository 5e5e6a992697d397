// A plugin whose passes run in a process of their own, as passes of this one.
//
// What goes wrong there, a crash, an exit, a loop without end, too much memory, is an error of the
// pass: a CrashError (base/last_words.h), with the graph as it was. Otherwise a pass does what it
// would do here, to the bit. Every call takes the graph there and back.
#ifndef MASE_PLUGIN_ISOLATED_PLUGIN_H_
#define MASE_PLUGIN_ISOLATED_PLUGIN_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/any.pb.h"
#include "mase/pass/pass.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_index.pb.h"
#include "mase/plugin/plugin_process.h"

namespace mase {

class IsolatedPlugin : public std::enable_shared_from_this<IsolatedPlugin> {
 public:
  struct Opened {
    PluginEntry entry;
    std::vector<PassInfo> passes;  // They keep the plugin.
  };

  // Opens `copy` (plugin_file.h) of the file at `path` in a process and asks what it has; nothing
  // of it is loaded here. The descriptor stays open. PermissionDenied, "it ...", where it is
  // refused there or ends its process.
  static absl::StatusOr<Opened> Open(const std::string& path, int copy,
                                     const IsolationLimits& limits);

  // The errors of CreatePass there.
  absl::Status CheckOptions(const std::string& pass, const google::protobuf::Any& options);

  absl::StatusOr<PassResult> Run(const std::string& pass, const google::protobuf::Any& options,
                                 Graph& graph, PassContext& context);

 private:
  IsolatedPlugin(std::string path, int copy, const IsolationLimits& limits)
      : path_(std::move(path)), copy_(copy), limits_(limits) {}

  // A process that has the plugin open and is free, or a new one.
  absl::StatusOr<std::unique_ptr<PluginProcess>> Take();
  void GiveBack(std::unique_ptr<PluginProcess> process);

  const std::string path_;
  const int copy_;
  const IsolationLimits limits_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PluginProcess>> free_;  // As many as passes ran at the same time.
};

}  // namespace mase

#endif  // MASE_PLUGIN_ISOLATED_PLUGIN_H_
