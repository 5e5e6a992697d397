#include "mase/plugin/plugin_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "mase/base/last_words.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"

extern char** environ;

namespace mase {
namespace {

// How this program is started again, file first. None: it cannot be.
absl::Mutex mutex;
std::vector<std::string> program ABSL_GUARDED_BY(mutex);

std::vector<std::string> Program() {
  const absl::MutexLock lock(&mutex);
  return program;
}

constexpr int kSizeBytes = 8;

void PutSize(uint64_t size, char* bytes) {
  for (int i = 0; i < kSizeBytes; ++i) bytes[i] = static_cast<char>(size >> (8 * i));
}
uint64_t SizeAt(const char* bytes) {
  uint64_t size = 0;
  for (int i = 0; i < kSizeBytes; ++i) {
    size |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return size;
}

// Whether an entry of the environment ("NAME=value") is of use to the process. The others, among
// which may be secrets, are nothing to a plugin.
bool IsForPlugins(absl::string_view entry) {
  constexpr absl::string_view kNames[] = {"PATH=",
                                          "LANG=",
                                          "LC_",
                                          "TZ=",
                                          "OMP_",
                                          "GOMP_",
                                          "DNNL_",
                                          "ONEDNN_",
                                          "LD_LIBRARY_PATH=",
                                          "RUNFILES_",
                                          "TEST_SRCDIR=",
                                          "TEST_WORKSPACE=",
                                          "ASAN_OPTIONS=",
                                          "UBSAN_OPTIONS=",
                                          "TSAN_OPTIONS=",
                                          "GLIBC_TUNABLES="};
  return absl::c_any_of(kNames,
                        [entry](absl::string_view name) { return absl::StartsWith(entry, name); });
}

// Two ends, closed in programs that are started.
absl::StatusOr<std::array<int, 2>> MakePipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) == 0) return ends;
  return absl::InternalError(absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
}

// Makes room for more of a message of `size` bytes and returns how many are there. Room grows as
// bytes come, so that a size which is only claimed takes no memory.
size_t MakeRoom(uint64_t size, std::string& bytes) {
  constexpr uint64_t kFirst = 1 << 20;
  const size_t had = bytes.size();
  bytes.resize(std::min(size, std::max<uint64_t>(kFirst, 2 * uint64_t{had})));
  return had;
}

bool Transfer(int socket, char* bytes, size_t size, bool reads) {
  while (size > 0) {
    const ssize_t count = reads ? ::read(socket, bytes, size) : ::write(socket, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count, size -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

void AllowPluginProcesses(std::vector<std::string> words) {
  const absl::MutexLock lock(&mutex);
  program = words.empty() ? std::vector<std::string>{"/proc/self/exe"} : std::move(words);
}

bool WriteMessage(int socket, const google::protobuf::MessageLite& message) {
  std::string bytes(kSizeBytes, '\0');
  if (!message.AppendToString(&bytes)) return false;
  PutSize(bytes.size() - kSizeBytes, bytes.data());
  return Transfer(socket, bytes.data(), bytes.size(), /*reads=*/false);
}

bool ReadMessage(int socket, google::protobuf::MessageLite& message) {
  char head[kSizeBytes];
  if (!Transfer(socket, head, kSizeBytes, /*reads=*/true)) return false;
  const uint64_t size = SizeAt(head);
  if (size > static_cast<uint64_t>(limits::kMaxPluginMessageBytes)) return false;
  std::string bytes;
  while (bytes.size() < size) {
    const size_t had = MakeRoom(size, bytes);
    if (!Transfer(socket, &bytes[had], bytes.size() - had, /*reads=*/true)) return false;
  }
  return message.ParseFromString(bytes);
}

absl::StatusOr<std::unique_ptr<PluginProcess>> PluginProcess::Start(const std::string& plugin_path,
                                                                    int copy,
                                                                    const IsolationLimits& limits) {
  std::vector<std::string> words = Program();
  if (words.empty()) {
    return absl::FailedPreconditionError(
        "isolation = \"process\" is for programs that can start themselves again, as ch");
  }
  std::vector<int> ends;  // To be closed here.
  const absl::Cleanup close = [&ends] {
    for (const int end : ends) ::close(end);
  };
  std::array<int, 2> sockets;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return absl::InternalError(absl::StrCat("cannot make a socket: ", std::strerror(errno)));
  }
  ends.insert(ends.end(), sockets.begin(), sockets.end());
  MASE_ASSIGN_OR_RETURN(const auto output, MakePipe());
  ends.insert(ends.end(), output.begin(), output.end());
  MASE_ASSIGN_OR_RETURN(const auto errors, MakePipe());
  ends.insert(ends.end(), errors.begin(), errors.end());

  // Out of the way of the numbers that they are to have.
  std::vector<int> sources;
  for (const int end : {output[1], errors[1], sockets[1], copy}) {
    sources.push_back(::fcntl(end, F_DUPFD_CLOEXEC, kPluginCopy + 1));
    if (sources.back() < 0) {
      return absl::InternalError(absl::StrCat("cannot open a descriptor: ", std::strerror(errno)));
    }
    ends.push_back(sources.back());
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  constexpr int kTargets[] = {STDOUT_FILENO, STDERR_FILENO, kHostSocket, kPluginCopy};
  for (size_t i = 0; i < sources.size(); ++i) {
    posix_spawn_file_actions_adddup2(&actions, sources[i], kTargets[i]);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Ctrl-C is the host's. Signals are handled as by any new program.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::string file = words[0];
  for (const std::string& word :
       {std::string(kServeFlag), absl::StrCat(::getpid()), absl::StrCat(limits.memory_bytes),
        absl::StrCat(limits.cpu_seconds), plugin_path}) {
    words.push_back(word);
  }
  std::vector<char*> argv, environment;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // One arena: each takes 64 MB of addresses, which count.
  char arenas[] = "MALLOC_ARENA_MAX=1";
  environment.push_back(arenas);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (IsForPlugins(*entry)) environment.push_back(*entry);
  }
  environment.push_back(nullptr);
  pid_t process = 0;
  const int failed =
      ::posix_spawn(&process, file.c_str(), &actions, &attributes, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return absl::InternalError(absl::StrCat("cannot start a process: ", std::strerror(failed)));
  }
  ends = std::move(sources);
  ends.insert(ends.end(), {sockets[1], output[1], errors[1]});
  for (const int end : {sockets[0], output[0], errors[0]}) ::fcntl(end, F_SETFL, O_NONBLOCK);
  return std::unique_ptr<PluginProcess>(
      new PluginProcess(process, sockets[0], output[0], errors[0], limits));
}

PluginProcess::PluginProcess(pid_t process, int socket, int output, int errors,
                             const IsolationLimits& limits)
    : process_(process), socket_(socket), output_(output), errors_(errors), limits_(limits) {}

PluginProcess::~PluginProcess() {
  if (!gone_) End("").IgnoreError();
  for (const int end : {socket_, output_, errors_}) ::close(end);
}

absl::Status PluginProcess::Send(const google::protobuf::MessageLite& message,
                                 absl::Time deadline) {
  std::string bytes(kSizeBytes, '\0');
  const size_t size = message.ByteSizeLong();
  if (size > static_cast<size_t>(limits_.message_bytes) || !message.AppendToString(&bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat("graph and options take ", size,
                                                     " bytes; at most ", limits_.message_bytes,
                                                     " can be handed to a process of its own"));
  }
  PutSize(bytes.size() - kSizeBytes, bytes.data());
  return Transfer(bytes.data(), bytes.size(), /*reads=*/false, deadline);
}

absl::Status PluginProcess::Receive(absl::Time deadline, google::protobuf::MessageLite& message) {
  char head[kSizeBytes];
  MASE_RETURN_IF_ERROR(Transfer(head, kSizeBytes, /*reads=*/true, deadline));
  const uint64_t size = SizeAt(head);
  // The process cannot hold more than it may have; a larger size is none.
  const bool sensible = size <= static_cast<uint64_t>(limits_.message_bytes) &&
                        size <= static_cast<uint64_t>(limits_.memory_bytes);
  if (!sensible) return End(absl::StrCat("sent garbage: a message of ", size, " bytes"));
  std::string bytes;
  while (bytes.size() < size) {
    const size_t had = MakeRoom(size, bytes);
    MASE_RETURN_IF_ERROR(Transfer(&bytes[had], bytes.size() - had, /*reads=*/true, deadline));
  }
  if (message.ParseFromString(bytes)) return absl::OkStatus();
  return End("sent garbage: bytes that are no message");
}

absl::Status PluginProcess::Transfer(char* bytes, size_t size, bool reads, absl::Time deadline) {
  if (gone_) return CrashError("its process is gone");
  // A pipe that hung up would be ready all the time.
  int output = output_, errors = errors_;
  while (size > 0) {
    int timeout = -1;
    if (deadline != absl::InfiniteFuture()) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) {
        return End(absl::StrCat("was not done after ", absl::FormatDuration(limits_.pass_limit),
                                " (--pass_timeout)"));
      }
      timeout = static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30));
    }
    pollfd waits[] = {{socket_, static_cast<short>(reads ? POLLIN : POLLOUT), 0},
                      {output, POLLIN, 0},
                      {errors, POLLIN, 0}};
    const int ready = ::poll(waits, 3, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return End(absl::StrCat("cannot be waited for: ", std::strerror(errno)));
    if ((waits[1].revents & POLLIN) != 0) {
      ReadPrinted(output_, printed_);
    } else if (waits[1].revents != 0) {
      output = -1;
    }
    if ((waits[2].revents & POLLIN) != 0) {
      ReadPrinted(errors_, printed_errors_);
    } else if (waits[2].revents != 0) {
      errors = -1;
    }
    if (waits[0].revents == 0) continue;
    const ssize_t count =
        reads ? ::read(socket_, bytes, size) : ::send(socket_, bytes, size, MSG_NOSIGNAL);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return Ended();
    bytes += count, size -= static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

void PluginProcess::ReadPrinted(int descriptor, std::string& into) const {
  char bytes[4096];
  // Not more at once than a pipe holds: it may be written to as fast as it is read.
  for (int i = 0; i < 16; ++i) {
    const ssize_t count = ::read(descriptor, bytes, sizeof(bytes));
    if (count <= 0) return;
    const size_t room = static_cast<size_t>(limits::kMaxPluginOutputBytes) -
                        std::min<size_t>(into.size(), limits::kMaxPluginOutputBytes);
    into.append(bytes, std::min<size_t>(room, static_cast<size_t>(count)));
  }
}

absl::Status PluginProcess::Ended() {
  // It closed the socket; if it is not gone with that, it goes now.
  int status = 0;
  pid_t waited = 0;
  for (int tries = 0; tries < 200 && waited == 0; ++tries) {
    waited = ::waitpid(process_, &status, WNOHANG);
    if (waited == 0) ::usleep(5000);
  }
  if (waited == 0) return End("hung up");
  gone_ = true;
  ReadPrinted(errors_, printed_errors_);
  // Its own last words (base/last_words.h), which know more.
  for (const absl::string_view line : absl::StrSplit(printed_errors_, '\n')) {
    const size_t begin = std::min(line.find(" crashed: "), line.find(" called "));
    const bool tells = absl::StartsWith(line, "pass ") || absl::StartsWith(line, "plugin ") ||
                       absl::StartsWith(line, "creating pass ");
    if (tells && begin != absl::string_view::npos) {
      return CrashError(Printable(line.substr(begin + 1)));
    }
  }
  if (WIFEXITED(status)) {
    return CrashError(absl::StrCat("ended its process with exit code ", WEXITSTATUS(status)));
  }
  const int signal = WTERMSIG(status);
  if (signal == SIGXCPU || signal == SIGKILL) {
    return CrashError(absl::StrCat("was ended by the system: it took more than ",
                                   limits_.cpu_seconds, " s of CPU time or ",
                                   MemoryText(limits_.memory_bytes), " of memory"));
  }
  return CrashError(absl::StrCat("crashed: signal ", signal, ", ", ::strsignal(signal)));
}

absl::Status PluginProcess::End(absl::string_view why) {
  gone_ = true;
  ::kill(process_, SIGKILL);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  ReadPrinted(output_, printed_);
  ReadPrinted(errors_, printed_errors_);
  return CrashError(why);
}

std::string PluginProcess::TakeOutput() {
  ReadPrinted(output_, printed_);
  return std::exchange(printed_, "");
}

std::string PluginProcess::TakeErrors() {
  ReadPrinted(errors_, printed_errors_);
  return std::exchange(printed_errors_, "");
}

}  // namespace mase
