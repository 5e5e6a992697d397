// What a program prints for people, so that none of it is lost.
#ifndef MASE_BASE_STANDARD_OUTPUT_H_
#define MASE_BASE_STANDARD_OUTPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/base/table.h"

namespace mase {

// Where stdin, stdout or stderr is closed, no file that is opened from now on gets its number, and
// with it what the program prints; reading and writing fail as before. The first thing in main.
void HoldStandardFiles();

// From now on stdout is this program's own (see CatchOutput), and each line goes to the operating
// system as soon as it is whole, also where stdout is a file or a pipe: a process that is killed
// has printed all that it said. Call before printing.
void PrintByLines();

// From now on stdout is another's, and CatchOutput leaves it alone: for a child of fork() whose
// output is collected by its parent.
void DisownOutput();

// Prints, also while CatchOutput keeps others from it.
void PrintOut(absl::string_view text);

// While it lives, what is written to stdout by any other means than PrintOut, of this thread or
// another, goes into memory: results on stdout are not mixed with what code of plugins says there.
// Only in programs that own stdout (PrintByLines); and one at a time: a second one finds nothing.
class CatchOutput {
 public:
  CatchOutput();
  ~CatchOutput() { Take(); }
  CatchOutput(const CatchOutput&) = delete;
  CatchOutput& operator=(const CatchOutput&) = delete;

  // Puts stdout back and returns what was written, of more than limits::kMaxPluginOutputBytes the
  // first ones.
  std::string Take();

 private:
  bool active_ = false;
};

// Puts stdout back where code that is being caught ends the process; what it wrote goes to stderr.
// For signal handlers, too.
void LetCaughtOutputGo();

// A document with texts from outside (CSV, JSON) as it may be printed: as it is for files and
// pipes, Printable (quote.h) for a terminal, which control characters would move or recolour.
std::string ForStandardOutput(absl::string_view document);

// Hands over what stdout and std::cout still hold. Unavailable, "stdout: cannot write: REASON", if
// that fails or anything printed earlier was lost (a full disk). The last thing that a program
// does before it says that it was successful.
absl::Status FinishPrinting();

// Whether terminals may be written to in colours: not where the variable NO_COLOR is set to
// something (no-color.org).
bool ColorsAreWelcome();

// The room for a table there: the terminal's width, and colours if they are welcome; 80 columns
// where it is no terminal.
Table::Room StandardOutputRoom();

}  // namespace mase

#endif  // MASE_BASE_STANDARD_OUTPUT_H_
