// Statuses as exceptions of Python. python/mase/errors.py has the classes.
#ifndef PYTHON_BINDING_ERRORS_H_
#define PYTHON_BINDING_ERRORS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mase {

// Raises what mase.errors.error_of makes of a status that is not OK. With the interpreter's lock.
[[noreturn]] void Raise(const absl::Status& status);

inline void Check(const absl::Status& status) {
  if (!status.ok()) Raise(status);
}

// The value, or its error raised.
template <typename T>
T ValueOf(absl::StatusOr<T> result) {
  Check(result.status());
  return *std::move(result);
}

// A status's message as a terminal may get it, whatever names of files are in it; always UTF-8.
std::string MessageText(const absl::Status& status);

// The name of a status's code as Python gets it: "INVALID_ARGUMENT".
std::string CodeName(const absl::Status& status);

}  // namespace mase

#endif  // PYTHON_BINDING_ERRORS_H_
