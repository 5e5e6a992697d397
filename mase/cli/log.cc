#include "mase/cli/log.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"

namespace mase {
namespace {

struct Look {
  const char* name;
  const char* color;  // ANSI, for terminals.
};
constexpr Look kLooks[] = {
    {"DEBUG", "\033[36m"}, {"INFO", "\033[32m"}, {"WARNING", "\033[33m"}, {"ERROR", "\033[31m"}};

LogLevel least_level = LogLevel::kInfo;

}  // namespace

void SetLogLevel(LogLevel level) { least_level = level; }

void Log(LogLevel level, absl::string_view message) {
  if (level < least_level) return;
  static const bool color = isatty(STDERR_FILENO) != 0;
  const Look& look = kLooks[static_cast<int>(level)];
  const std::string line = absl::StrFormat("%s%-8s%s %s\n", color ? look.color : "", look.name,
                                           color ? "\033[0m" : "", message);
  std::fflush(stdout);  // Keep results and messages in order where both go to one place.
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace mase
