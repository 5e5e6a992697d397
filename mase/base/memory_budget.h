// How much memory the process may take, and who was to have how much of it.
//
//   MASE_RETURN_IF_ERROR(CheckMemory(bytes, "weight [60000, 60000]"));
//   // weight [60000, 60000] wants 14.4 GB of memory, 0.1 GB of the limit of 8 GB are taken; ...
//
// Files and settings say how large things are. What they say is checked here before it is
// allocated: a machine that is out of memory kills programs, this one or others, without a word.
#ifndef MASE_BASE_MEMORY_BUDGET_H_
#define MASE_BASE_MEMORY_BUDGET_H_

#include <cstdint>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// What machine and containers (cgroup, all levels of it that are seen) grant together, in bytes.
int64_t MemoryOfMachine();

// The limit of this process: MemoryOfMachine() until another one is set.
int64_t MemoryLimit();
void SetMemoryLimit(int64_t bytes);

// A size as people write it: "800MB", "1.5 GiB", "4G", "1000000" (bytes). Units of 1000, those with
// an i of 1024. InvalidArgument: anything else, or less than 1 MB.
absl::StatusOr<int64_t> ParseMemorySize(absl::string_view text);

// "14.4 GB", "812 MB", "9,000 bytes": units of 1000.
std::string MemoryText(int64_t bytes);

// OK if `bytes` more fit beside what the process has. Else ResourceExhausted, which begins with
// `what`. Nothing is set aside.
absl::Status CheckMemory(int64_t bytes, absl::string_view what);

// Blocks below this many bytes are neither counted nor checked one by one.
inline constexpr int64_t kLeastCountedBytes = int64_t{1} << 20;

// Memory that an owner of large blocks took (or gave back, where `bytes` is negative), written to
// or not: the system counts a page only when it is touched.
void CountMemory(int64_t bytes);

// Memory that is not there, where a function has no Status to return. Programs and runs make it a
// ResourceExhausted; it never leaves a library.
class MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(const absl::Status& status) : message_(status.message()) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// The ResourceExhausted that a caught MemoryError, or the C++ library's own bad_alloc, stands for.
absl::Status OutOfMemory(const std::bad_alloc& error);

}  // namespace mase

#endif  // MASE_BASE_MEMORY_BUDGET_H_
