#include "mase/plugin/run_apart.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/call_foreign.h"
#include "mase/base/standard_output.h"

namespace mase {
namespace {

constexpr size_t kMaxOutput = 4096;
constexpr char kEnded[] = "ended";  // In front of what the child hands over.

// All of a file in memory.
std::string Contents(int file) {
  std::string text;
  char buffer[4096];
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(file, buffer, sizeof buffer, at);
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    at += got;
  }
}

[[noreturn]] void RunChild(const std::function<absl::Status()>& function, int output, int result,
                           int seconds) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  DisownOutput();
  const rlimit time = {static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds) + 1};
  ::setrlimit(RLIMIT_CPU, &time);
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(static_cast<unsigned>(seconds));
  const absl::Status status = CallForeign("it", function);
  std::fflush(nullptr);
  const std::string text =
      absl::StrCat(kEnded, std::string(1, static_cast<char>(status.code())), status.message());
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t put = ::write(result, text.data() + written, text.size() - written);
    if (put <= 0) break;
    written += static_cast<size_t>(put);
  }
  ::_exit(0);
}

}  // namespace

Apart RunApart(const std::function<absl::Status()>& function, int seconds) {
  Apart apart;
  const int output = ::memfd_create("output", 0), result = ::memfd_create("result", 0);
  if (output < 0 || result < 0) {
    apart.status = absl::ResourceExhaustedError("no memory for another process");
    return apart;
  }
  const absl::Time begin = absl::Now();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) RunChild(function, output, result, seconds);
  int state = 0;
  rusage used = {};
  while (child > 0 && ::wait4(child, &state, 0, &used) < 0 && errno == EINTR) {
  }
  apart.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  apart.peak_bytes = used.ru_maxrss * int64_t{1024};
  apart.output = Contents(output).substr(0, kMaxOutput);
  const std::string said = Contents(result);
  ::close(output);
  ::close(result);
  const size_t head = std::strlen(kEnded);
  if (child < 0) {
    apart.status = absl::ResourceExhaustedError("there can be no other process");
  } else if (said.size() > head && said.compare(0, head, kEnded) == 0) {
    apart.status = absl::Status(static_cast<absl::StatusCode>(said[head]), said.substr(head + 1));
  } else if (WIFSIGNALED(state) && (WTERMSIG(state) == SIGALRM || WTERMSIG(state) == SIGXCPU ||
                                    WTERMSIG(state) == SIGKILL)) {
    apart.status = absl::DeadlineExceededError(absl::StrCat("did not end within ", seconds, " s"));
  } else if (WIFSIGNALED(state)) {
    apart.status = absl::InternalError(
        absl::StrCat("crashed: ", ::strsignal(WTERMSIG(state)), ", signal ", WTERMSIG(state)));
  } else {
    apart.status =
        absl::InternalError(absl::StrCat("ended the program with exit code ", WEXITSTATUS(state)));
  }
  return apart;
}

}  // namespace mase
