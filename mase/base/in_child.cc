#include "mase/base/in_child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/call_foreign.h"
#include "mase/base/coverage.h"
#include "mase/base/sanitizers.h"

namespace mase {
namespace {

using Function = absl::FunctionRef<absl::StatusOr<std::string>()>;

// In front of the answer, which is a text or the message of an error.
struct Head {
  int64_t code;
  int64_t bytes;
};

// Reads on until all is there, or the other end is closed.
bool ReadAll(int file, void* to, size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = ::read(file, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

void WriteAll(int file, const void* from, size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t put = ::write(file, at, bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    at += put;
    bytes -= static_cast<size_t>(put);
  }
}

// ---- The child ----

// A limit that is lower already stays.
void Limit(__rlimit_resource_t resource, int64_t value, int64_t grace = 0) {
  rlimit bound = {};
  if (::getrlimit(resource, &bound) != 0) return;
  bound.rlim_max = std::min(bound.rlim_max, static_cast<rlim_t>(value + grace));
  bound.rlim_cur = std::min(bound.rlim_cur, static_cast<rlim_t>(value));
  ::setrlimit(resource, &bound);
}

// Of addresses that this process has; negative where nobody knows.
int64_t MappedBytes() {
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  char text[64] = {};
  const ssize_t got = ::read(file, text, sizeof text - 1);
  ::close(file);
  return got <= 0 ? -1 : std::strtoll(text, nullptr, 10) * ::sysconf(_SC_PAGESIZE);
}

void SetLimits(const ChildLimits& limits) {
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_CPU, limits.cpu_seconds, /*grace=*/1);  // A signal that says so, then the end.
  if (const int64_t mapped = MappedBytes(); kAddressesAreBounded && mapped >= 0) {
    Limit(RLIMIT_AS, mapped + limits.memory_bytes);
  }
  ::alarm(static_cast<unsigned>(limits.seconds));
  ::prctl(PR_SET_DUMPABLE, 0);  // Programs that collect core files do not look at their limit.
}

// Handlers of this program would take what happens here for a fault of the program. Until this is
// done all signals wait.
void TakeSignals() {
  for (int number = 1; number < NSIG; ++number) {
    const bool asks = number == SIGINT || number == SIGTERM || number == SIGHUP ||
                      number == SIGQUIT || number == SIGTSTP;
    ::signal(number, asks ? SIG_IGN : SIG_DFL);  // Of those that cannot be set, nothing comes.
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void Silence() {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (nowhere < 0) {
      ::close(file);
    } else {
      ::dup2(nowhere, file);
    }
  }
}

absl::StatusOr<std::string> Call(Function function, const ChildLimits& limits) {
  return CallForeign("reading", [&]() -> absl::StatusOr<std::string> {
    try {
      return function();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits.memory_bytes, " bytes of memory"));
    }
  });
}

// As _exit does, which is a function of this program where plugins are watched (host.cc).
[[noreturn]] void EndAtOnce() {
  WriteCoverage();
  for (;;) ::syscall(SYS_exit_group, 0);
}

[[noreturn]] void RunChild(Function function, const ChildLimits& limits, pid_t parent,
                           int answers) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have ended before.
  if (::getppid() == parent) {
    SetLimits(limits);
    TakeSignals();
    answers = ::fcntl(answers, F_DUPFD, STDERR_FILENO + 1);  // Where these were closed.
    Silence();
    std::atexit(EndAtOnce);  // Before the handlers of this program, should `function` call exit.
    const absl::StatusOr<std::string> result = Call(function, limits);
    const absl::string_view text = result.ok() ? *result : result.status().message();
    const Head head = {.code = static_cast<int64_t>(result.status().code()),
                       .bytes = static_cast<int64_t>(text.size())};
    ::alarm(0);  // A parent that was stopped (Ctrl-Z) may read it later.
    WriteAll(answers, &head, sizeof head);
    WriteAll(answers, text.data(), text.size());
  }
  EndAtOnce();
}

// ---- The parent ----

// What the child sent, if that is whole.
absl::StatusOr<std::string> Receive(int answers, const ChildLimits& limits) {
  const absl::Status none = absl::DataLossError("ended without an answer");
  Head head = {};
  if (!ReadAll(answers, &head, sizeof head) || head.bytes < 0) return none;
  if (head.code < 0 || head.code > static_cast<int64_t>(absl::StatusCode::kUnauthenticated)) {
    return none;
  }
  if (head.bytes > limits.answer_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "an answer of ", head.bytes, " bytes, more than the limit of ", limits.answer_bytes));
  }
  std::string text(static_cast<size_t>(head.bytes), '\0');
  if (!ReadAll(answers, text.data(), text.size())) return none;
  if (head.code != 0) return absl::Status(static_cast<absl::StatusCode>(head.code), text);
  return text;
}

absl::Status Ended(int number, const ChildLimits& limits) {
  if (number == SIGXCPU) {
    return absl::DataLossError(
        absl::StrCat("did not end within ", limits.cpu_seconds, " s of a processor"));
  }
  if (number == SIGALRM) {
    return absl::DataLossError(absl::StrCat("did not end within ", limits.seconds, " s"));
  }
  const char* const name = ::sigabbrev_np(number);
  return absl::DataLossError(name == nullptr ? absl::StrCat("crashed (signal ", number, ")")
                                             : absl::StrCat("crashed (SIG", name, ")"));
}

absl::Status CannotMake(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("cannot make ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::string> RunInChild(Function function, const ChildLimits& limits) {
  // One at a time: a child made meanwhile would have the pipe of this one open, too.
  static absl::Mutex one(absl::kConstInit);
  const absl::MutexLock lock(&one);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return CannotMake("a pipe");
  const pid_t parent = ::getpid();
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);  // Else nothing that it writes would be refused.
    RunChild(function, limits, parent, ends[1]);
  }
  const absl::Status made = child < 0 ? CannotMake("a process") : absl::OkStatus();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[1]);
  absl::StatusOr<std::string> answer = made.ok() ? Receive(ends[0], limits) : made;
  ::close(ends[0]);  // A child that writes on ends by it.
  if (!made.ok()) return answer;
  int state = 0;
  pid_t waited;
  do {
    waited = ::waitpid(child, &state, 0);
  } while (waited < 0 && errno == EINTR);
  const bool crashed = waited == child && WIFSIGNALED(state) && WTERMSIG(state) != SIGPIPE;
  return crashed ? Ended(WTERMSIG(state), limits) : std::move(answer);
}

}  // namespace mase
