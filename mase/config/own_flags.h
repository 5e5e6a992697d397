// Flags of an action that are no settings of a run, as a message (proto/flags.proto).
#ifndef MASE_CONFIG_OWN_FLAGS_H_
#define MASE_CONFIG_OWN_FLAGS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "mase/config/arguments.h"

namespace mase {

// A flag for each field: its name, whether it is a switch, its help.
std::vector<ProcessFlag> FlagsOf(const google::protobuf::Descriptor& message);

// Sets the field of that name from the text of a flag: one value, or those between commas, added,
// where the field is repeated. Relative paths are the caller's. InvalidArgument, beginning with
// "--NAME: ".
absl::Status SetFlag(absl::string_view name, absl::string_view text,
                     google::protobuf::Message& message);

}  // namespace mase

#endif  // MASE_CONFIG_OWN_FLAGS_H_
