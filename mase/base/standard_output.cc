#include "mase/base/standard_output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace mase {

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
