#include "mase/base/standard_output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace mase {

bool ColorsAreWelcome() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
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

void PrintByLines() { std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ); }

absl::Status FinishPrinting() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::cout && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "stdout: cannot write: ", errno != 0 ? std::strerror(errno) : "some of the output is lost"));
}

}  // namespace mase
