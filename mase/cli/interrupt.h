// Ctrl-C as a request that a long task looks at.
#ifndef MASE_CLI_INTERRUPT_H_
#define MASE_CLI_INTERRUPT_H_

#include <atomic>

namespace mase {

// From this call on, SIGINT, SIGTERM and SIGHUP remove files that are only half written
// (base/temporary_files.h) before they do what they did. For programs, first of all: it holds for
// what looks at no request, and for the second signal of what does.
void LeaveNoTemporaryFiles();

// From this call on, the first SIGINT, SIGTERM or SIGHUP makes this true instead of what it did
// before, and stderr names the pass that is waited for; the second such signal does that again, as
// a rule ends the process.
const std::atomic<bool>& CatchInterrupt();

// Makes it true as such a signal would.
void Interrupt();

// The signals do again what they did before CatchInterrupt, and the request is forgotten. For
// programs that live longer than a task. No task may look any more.
void EndCatchingInterrupt();

}  // namespace mase

#endif  // MASE_CLI_INTERRUPT_H_
