// Free-form settings: ConfigValue to and from google.protobuf.Struct.
#ifndef MASE_CONFIG_STRUCT_VALUE_H_
#define MASE_CONFIG_STRUCT_VALUE_H_

#include "google/protobuf/struct.pb.h"
#include "mase/config/value.h"

namespace mase {

// Adds the members of `table` to `target`: tables into tables, anything else
// replaces what was there. Integers become doubles, as JSON's; raw text is TOML or
// else a string.
void MergeIntoStruct(const ValueTable& table, google::protobuf::Struct& target);

// The same of one value.
void SetStructValue(const ConfigValue& value, google::protobuf::Value& target);

ConfigValue FromStruct(const google::protobuf::Struct& source, Position position);
ConfigValue FromStructValue(const google::protobuf::Value& source, Position position);

}  // namespace mase

#endif  // MASE_CONFIG_STRUCT_VALUE_H_
