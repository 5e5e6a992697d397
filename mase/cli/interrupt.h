// Ctrl-C as a request that a long task looks at.
#ifndef MASE_CLI_INTERRUPT_H_
#define MASE_CLI_INTERRUPT_H_

#include <atomic>

namespace mase {

// From the first call on, SIGINT and SIGTERM make this true instead of ending the process, and
// stderr names the pass that is waited for; the second such signal ends it.
const std::atomic<bool>& CatchInterrupt();

}  // namespace mase

#endif  // MASE_CLI_INTERRUPT_H_
