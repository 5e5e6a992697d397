// How a plugin was built, compared with how this program was, field by field.
#ifndef MASE_PLUGIN_SIGNATURE_H_
#define MASE_PLUGIN_SIGNATURE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// The signature of this program, MASE_BUILD_SIGNATURE.
absl::string_view HostSignature();

// OK if a plugin of this signature fits this program. Else PermissionDenied, for each field that
// differs what both sides have and what to do:
//
//   its C++ standard is 201703L, this program's 202002L: compile it with -std=c++20; its ...
absl::Status CheckSignature(absl::string_view signature);

}  // namespace mase

#endif  // MASE_PLUGIN_SIGNATURE_H_
