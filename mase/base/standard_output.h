// What a program prints for people, so that none of it is lost.
#ifndef MASE_BASE_STANDARD_OUTPUT_H_
#define MASE_BASE_STANDARD_OUTPUT_H_

#include "absl/status/status.h"
#include "mase/base/table.h"

namespace mase {

// From now on each line goes to the operating system as soon as it is whole, also where stdout is
// a file or a pipe: a process that is killed has printed all that it said. Call before printing.
void PrintByLines();

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
