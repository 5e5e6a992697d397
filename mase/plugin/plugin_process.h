// The process that runs the passes of a plugin, seen from the host: started, asked, ended.
#ifndef MASE_PLUGIN_PLUGIN_PROCESS_H_
#define MASE_PLUGIN_PLUGIN_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "mase/base/limits.h"

namespace mase {

// Of every process of a plugin.
struct IsolationLimits {
  int64_t memory_bytes = limits::kIsolatedMemoryBytes;
  int64_t cpu_seconds = limits::kIsolatedCpuSeconds;
  absl::Duration pass_limit = absl::InfiniteDuration();
  // Of one message, either way, and of all that a pass sends in one run.
  int64_t message_bytes = limits::kMaxPluginMessageBytes;
};

class PluginProcess {
 public:
  // This program once more, in a sandbox (sandbox.h) from before it opens the plugin, of which it
  // gets the copy at descriptor `copy` (plugin_file.h) and, for its name, the path.
  // FailedPrecondition in a program whose main does not call ServePluginIfAsked (serve_plugin.h);
  // Internal where no process can be started.
  static absl::StatusOr<std::unique_ptr<PluginProcess>> Start(const std::string& plugin_path,
                                                              int copy,
                                                              const IsolationLimits& limits);
  ~PluginProcess();  // Ends it.
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  // A CrashError that says how the process ended, if it is gone or goes while it is waited for; of
  // one that is not done at `deadline`, after it was killed, that. `deadline` may be infinite.
  // ResourceExhausted, and nothing is sent, beyond IsolationLimits::message_bytes.
  absl::Status Send(const google::protobuf::MessageLite& message, absl::Time deadline);
  // The same; what is no such message, or too large a one, is a crash, too.
  absl::Status Receive(absl::Time deadline, google::protobuf::MessageLite& message);

  // What it wrote to stdout and stderr since last asked, at most limits::kMaxPluginOutputBytes of
  // each.
  std::string TakeOutput();
  std::string TakeErrors();

 private:
  PluginProcess(pid_t process, int socket, int output, int errors, const IsolationLimits& limits);

  // Reads into or writes from the socket, and reads what was printed meanwhile.
  absl::Status Transfer(char* bytes, size_t size, bool reads, absl::Time deadline);
  void ReadPrinted(int descriptor, std::string& into) const;
  absl::Status Ended();                     // It hung up: waits for its end.
  absl::Status End(absl::string_view why);  // Kills it.

  const pid_t process_;
  const int socket_, output_, errors_;
  const IsolationLimits limits_;
  bool gone_ = false;
  std::string printed_, printed_errors_;
};

// That this program, started with `words` and what kServeFlag says behind them, calls
// ServePluginIfAsked. Without words it is that of /proc/self/exe, by its name alone.
void AllowPluginProcesses(std::vector<std::string> words = {});

// One message on a socket, from a process that waits as long as it takes. False where the other
// side hung up, or sent what is no such message.
bool WriteMessage(int socket, const google::protobuf::MessageLite& message);
bool ReadMessage(int socket, google::protobuf::MessageLite& message);

// The command line of such a process: PROGRAM kServeFlag PARENT MEMORY CPU PLUGIN. It has, beside
// the standard ones, two descriptors.
inline constexpr char kServeFlag[] = "--serve_plugin";
inline constexpr int kHostSocket = 3;
inline constexpr int kPluginCopy = 4;

}  // namespace mase

#endif  // MASE_PLUGIN_PLUGIN_PROCESS_H_
