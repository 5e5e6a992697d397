// What lines of progress (progress.h) are made of, for who makes one of several.
#ifndef MASE_BASE_PROGRESS_TEXT_H_
#define MASE_BASE_PROGRESS_TEXT_H_

#include <string>

namespace mase {

// Erases the line of a terminal that the cursor is in, and goes to its begin. What a Progress
// writes to an interactive Terminal begins with it.
inline constexpr char kEraseLine[] = "\r\033[K";

// "01:08", from an hour on "1:01:08".
std::string ClockText(double seconds);

}  // namespace mase

#endif  // MASE_BASE_PROGRESS_TEXT_H_
