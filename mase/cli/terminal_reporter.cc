#include "mase/cli/terminal_reporter.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "mase/base/quote.h"
#include "mase/base/standard_output.h"
#include "mase/cli/log.h"

namespace mase {
namespace {

constexpr int kMostRowsShown = 100;  // Of a table that a file has all of.

}  // namespace

void TerminalReporter::Message(LogLevel level, absl::string_view message) {
  if (!flags_.quiet() || level >= LogLevel::kWarning) Log(level, message);
}

void TerminalReporter::Print(absl::string_view text) { PutOut(Printable(text)); }

void TerminalReporter::PutOut(absl::string_view text) {
  if (flags_.quiet()) return;
  if (!flags_.json()) return PrintOut(text);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void TerminalReporter::Show(const Table& table, absl::string_view whole) {
  Table::Room room = flags_.json() ? Table::Room() : StandardOutputRoom();
  if (!whole.empty()) room.rows = kMostRowsShown;
  room.whole = std::string(whole);
  // Its cells are printable, and its colours are ours.
  PutOut(absl::StrCat(table.title().empty() ? "" : "\n", table.Text(room)));
}

Terminal TerminalReporter::progress() { return flags_.quiet() ? Terminal() : Terminal::Stderr(); }

void TerminalReporter::PrintJson(absl::string_view document) {
  if (flags_.json()) PrintOut(ForStandardOutput(document));
}

}  // namespace mase
