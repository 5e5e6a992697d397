#include "mase/base/standard_output.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

std::atomic<bool> is_own = false, lost = false;
// While output is caught: where it goes, and where stdout went.
std::atomic<int> caught = -1, own = -1;
std::mutex& Mutex() {  // Of the two.
  static auto* const mutex = new std::mutex;
  return *mutex;
}

bool WriteAll(int file, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(file, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count, size -= static_cast<size_t>(count);
  }
  return true;
}

void Flush() {
  std::cout.flush();
  std::fflush(stdout);
}

}  // namespace

bool ColorsAreWelcome() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

std::string ForStandardOutput(absl::string_view document) {
  return ::isatty(STDOUT_FILENO) == 1 ? Printable(document) : std::string(document);
}

Table::Room StandardOutputRoom() {
  Table::Room room;
  if (::isatty(STDOUT_FILENO) != 1) return room;
  winsize size;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    room.columns = size.ws_col;
  }
  room.color = ColorsAreWelcome();
  return room;
}

void HoldStandardFiles() {
  // Lowest numbers first, as open() gives them. What O_PATH opens cannot be read or written.
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(file, F_GETFD) < 0) ::open("/dev/null", O_PATH);
  }
}

void PrintByLines() {
  is_own = true;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
}

void DisownOutput() { is_own = false; }

void PrintOut(absl::string_view text) {
  const std::lock_guard<std::mutex> lock(Mutex());
  if (own < 0) {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else if (!WriteAll(own, text.data(), text.size())) {
    lost = true;
  }
}

CatchOutput::CatchOutput() {
  const std::lock_guard<std::mutex> lock(Mutex());
  if (!is_own || own >= 0) return;
  Flush();
  const int memory = ::memfd_create("stdout", MFD_CLOEXEC);
  const int before = memory < 0 ? -1 : ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  active_ = before >= 0 && ::dup2(memory, STDOUT_FILENO) >= 0;
  if (active_) {
    caught = memory, own = before;
    return;
  }
  // Without room for it stdout stays as it is. (Closing -1 does nothing.)
  ::close(memory);
  ::close(before);
}

std::string CatchOutput::Take() {
  const std::lock_guard<std::mutex> lock(Mutex());
  if (!active_) return "";
  active_ = false;
  Flush();
  ::dup2(own, STDOUT_FILENO);
  ::close(own.exchange(-1));
  const int memory = caught.exchange(-1);
  const off_t size = std::clamp<off_t>(::lseek(memory, 0, SEEK_END), 0,
                                       static_cast<off_t>(limits::kMaxPluginOutputBytes));
  std::string text(static_cast<size_t>(size), '\0');
  const ssize_t count = ::pread(memory, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  ::close(memory);
  return text;
}

void LetCaughtOutputGo() {
  const int memory = caught.exchange(-1), before = own.exchange(-1);
  if (before < 0) return;
  ::dup2(before, STDOUT_FILENO);
  char bytes[4096];
  off_t at = 0;
  for (ssize_t count = 0; (count = ::pread(memory, bytes, sizeof bytes, at)) > 0; at += count) {
    if (!WriteAll(STDERR_FILENO, bytes, static_cast<size_t>(count))) return;
  }
}

absl::Status FinishPrinting() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::cout && std::ferror(stdout) == 0 && !lost) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "stdout: cannot write: ", errno != 0 ? std::strerror(errno) : "some of the output is lost"));
}

}  // namespace mase
