// One value into one scalar field.
#ifndef MASE_CONFIG_SCALAR_H_
#define MASE_CONFIG_SCALAR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "mase/config/source.h"
#include "mase/config/value.h"

namespace mase {

// The value that a text of the command line stands for, given where it goes: for a
// string the text itself (or what is between quotes), else TOML, else, as a bare
// word, a string. "NA" is null. A null is the field's word for it, where it has one
// (Setting.none). Other values are returned as they are.
ConfigValue Resolve(const ConfigValue& value, const google::protobuf::FieldDescriptor& field);

// What the field's annotations say of a number: "above 0 and at most 100"; "" if nothing.
std::string RangeText(const google::protobuf::FieldDescriptor& field);

// InvalidArgument if the annotations of the field refuse the value: "101 is out of range, want
// above 0 and at most 100", "'mes' is none of mse, minmax; did you mean 'mse'?".
absl::Status CheckRange(double number, const google::protobuf::FieldDescriptor& field);
absl::Status CheckAllowed(absl::string_view text, const google::protobuf::FieldDescriptor& field);

// Sets a singular scalar or enum field, or adds to a repeated one. InvalidArgument
// ("want an integer, got \"x\"") where the type does not fit exactly (an integer
// is a number, too, and 256.0 an integer), the number does not fit, or CheckRange or CheckAllowed
// refuses it. Completes relative paths.
absl::Status SetScalar(const ConfigValue& value, const google::protobuf::FieldDescriptor& field,
                       const Source& source, google::protobuf::Message& message);

}  // namespace mase

#endif  // MASE_CONFIG_SCALAR_H_
