// Messages of a run to the user: "INFO     Initialising model 'jsc-tiny'..." on stderr, as MASE
// prints them. Results go to stdout.
#ifndef MASE_CLI_LOG_H_
#define MASE_CLI_LOG_H_

#include "absl/strings/string_view.h"

namespace mase {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// The least level that is printed; kInfo at first.
void SetLogLevel(LogLevel level);

// Prints one line. Not for use from several threads at once.
void Log(LogLevel level, absl::string_view message);
inline void LogInfo(absl::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarning(absl::string_view message) { Log(LogLevel::kWarning, message); }

}  // namespace mase

#endif  // MASE_CLI_LOG_H_
