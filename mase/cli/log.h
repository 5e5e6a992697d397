// Messages of a run to the user: "INFO     Initialising model 'jsc-tiny'..." on stderr, as MASE
// prints them. Results go to stdout.
#ifndef MASE_CLI_LOG_H_
#define MASE_CLI_LOG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "mase/run/reporter.h"

namespace mase {

// The least level that is printed; kInfo at first.
void SetLogLevel(LogLevel level);

// The text in lines of at most `columns` characters, broken at blanks; a word that is longer than a
// line has one of its own. A line that starts with blanks goes on below them, the first one with
// `hanging` blanks. Ends with a newline.
std::string WrapLines(absl::string_view text, int columns, int hanging);

// Prints a message: on a terminal, in lines that fit its width, below each other; elsewhere as it
// is, so that a log can be searched. Not for use from several threads at once.
void Log(LogLevel level, absl::string_view message);

}  // namespace mase

#endif  // MASE_CLI_LOG_H_
