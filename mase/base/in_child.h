// Calls code that bad input makes crash or run for ever, in a child of this process, and lives on.
// For libraries that trust what stands in a file:
//
//   absl::StatusOr<std::string> texts = RunInChild(
//       [&]() -> absl::StatusOr<std::string> {
//         if (!library_read(file, buffer)) return absl::DataLossError("cannot be read");
//         return Joined(buffer);
//       },
//       {.answer_bytes = 1 << 20});
//   if (!texts.ok()) return Annotate(texts.status(), path);  // "net.h5: crashed (SIGSEGV)"
//
// The child is a fork: it has all that is in memory here and all open files, and nothing that it
// changes comes back but its answer and what lies in memory that is mapped as shared. Code that is
// to do harm is not held by this (isolation.h is for that); an answer of a child whose memory was
// overwritten is any text, and is checked as what comes from outside.
#ifndef MASE_BASE_IN_CHILD_H_
#define MASE_BASE_IN_CHILD_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "mase/base/limits.h"

namespace mase {

struct ChildLimits {
  int64_t answer_bytes;  // Also of the message of an error.
  int64_t memory_bytes =
      limits::kChildMemoryBytes;  // More than this process has; not where
                                  // kAddressesAreBounded (sanitizers.h) is false.
  int64_t cpu_seconds = limits::kChildCpuSeconds;
  int64_t seconds = limits::kChildSeconds;  // Of the clock, for what waits and does not compute.
};

// What `function` returns, a text or an error (its payloads are lost). Else:
//
//   DataLoss            the child crashed, ended or took too long; what it read is damaged
//   ResourceExhausted   the answer is longer than the limit, or std::bad_alloc was thrown
//   Internal            another exception was thrown
//   Unavailable         there can be no other process, or no pipe to it
//
// In the child, `function` has one thread, and must not wait for others or for what they may have
// locked. It prints to nowhere and reads no input; handlers of signals, exit handlers and
// destructors of static objects do not run. There is no core file. When this call returns the child
// has ended, and no descriptor of it is open. Signals that ask this process to end (Ctrl-C) do here
// what they do; the child takes none and ends with this thread.
absl::StatusOr<std::string> RunInChild(absl::FunctionRef<absl::StatusOr<std::string>()> function,
                                       const ChildLimits& limits);

}  // namespace mase

#endif  // MASE_BASE_IN_CHILD_H_
