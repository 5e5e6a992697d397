#include "mase/cli/log.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/progress.h"
#include "mase/base/quote.h"
#include "mase/base/standard_output.h"

namespace mase {
namespace {

struct Look {
  const char* name;
  const char* color;  // ANSI, for terminals.
};
constexpr Look kLooks[] = {
    {"DEBUG", "\033[36m"}, {"INFO", "\033[32m"}, {"WARNING", "\033[33m"}, {"ERROR", "\033[31m"}};

LogLevel least_level = LogLevel::kInfo;

size_t Characters(absl::string_view text) {  // Of UTF-8.
  return absl::c_count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; });
}

// A line behind the first that begins as a message does is moved to the right: what a name with a
// line break says is never taken for a message of its own.
std::string Continued(absl::string_view message, size_t hanging) {
  std::vector<std::string> lines = absl::StrSplit(message, '\n');
  for (size_t i = 1; i < lines.size(); ++i) {
    const bool begins_one = absl::c_any_of(
        kLooks, [&](const Look& look) { return absl::StartsWith(lines[i], look.name); });
    if (begins_one) lines[i].insert(0, hanging, ' ');
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace

void SetLogLevel(LogLevel level) { least_level = level; }

std::string WrapLines(absl::string_view text, int columns, int hanging) {
  const size_t width = static_cast<size_t>(columns);
  std::string wrapped;
  bool first = true;
  for (const absl::string_view whole : absl::StrSplit(text, '\n')) {
    const size_t blanks = std::min(whole.find_first_not_of(' '), whole.size());
    absl::string_view rest = whole.substr(blanks);
    std::string indent = std::string(whole.substr(0, blanks));
    while (indent.size() + Characters(rest) > width) {
      size_t end = absl::string_view::npos;  // The last blank before the edge, else the first.
      for (size_t at = rest.find(' '); at != absl::string_view::npos; at = rest.find(' ', at + 1)) {
        if (end != absl::string_view::npos &&
            indent.size() + Characters(rest.substr(0, at)) > width) {
          break;
        }
        end = at;
      }
      if (end == absl::string_view::npos) break;
      absl::StrAppend(&wrapped, indent, rest.substr(0, end), "\n");
      rest.remove_prefix(end + 1);
      indent = std::string(first ? hanging : blanks, ' ');
    }
    absl::StrAppend(&wrapped, indent, rest, "\n");
    first = false;
  }
  return wrapped;
}

void Log(LogLevel level, absl::string_view message) {
  if (level < least_level) return;
  static const Terminal terminal = Terminal::Stderr();
  const Look& look = kLooks[static_cast<int>(level)];
  const std::string name = absl::StrFormat("%-8s", look.name);
  std::string text = absl::StrCat(name, " ", Continued(PrintableMessage(message), name.size() + 1));
  if (terminal.interactive) {
    text = WrapLines(text, terminal.columns, name.size() + 1);
    if (ColorsAreWelcome()) {
      text.replace(0, name.size(), absl::StrCat(look.color, name, "\033[0m"));
    }
  } else {
    text += '\n';
  }
  std::fflush(stdout);  // Keep results and messages in order where both go to one place.
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace mase
