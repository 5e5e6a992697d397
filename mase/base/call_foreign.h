// Calls code that may be a plugin's, and lives on.
//
//   absl::StatusOr<ReadRows> rows = CallForeign("reader row_file", [&] { return read(path); });
#ifndef MASE_BASE_CALL_FOREIGN_H_
#define MASE_BASE_CALL_FOREIGN_H_

#include <exception>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/base/floating_point.h"

namespace mase {

// What `function`, which returns an absl::Status or an absl::StatusOr, returns. An exception
// becomes Internal, "WHOSE threw: TEXT" or "WHOSE threw something"; the thread's floating-point
// state is as it was before. A crash is for mase/base/last_words.h.
template <typename Function>
std::invoke_result_t<const Function&> CallForeign(absl::string_view whose,
                                                  const Function& function) {
  const KeepFloatingPoint kept;
  try {
    return function();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(whose, " threw: ", error.what()));
  } catch (...) {
    return absl::InternalError(absl::StrCat(whose, " threw something"));
  }
}

}  // namespace mase

#endif  // MASE_BASE_CALL_FOREIGN_H_
