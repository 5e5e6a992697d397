// What a settings message accepts, read from its descriptor and the field options
// of proto/options.proto.
#ifndef MASE_CONFIG_SCHEMA_H_
#define MASE_CONFIG_SCHEMA_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "google/protobuf/descriptor.h"

namespace mase {

// Another name for a field deeper in the message: "load_name" for model.load_name.
struct FieldAlias {
  std::string name;
  std::vector<const google::protobuf::FieldDescriptor*> path;  // From the top.
};

// A singular message with fields of its own to set: neither repeated nor a map,
// nor one of google.protobuf's (Struct, Any), nor one on demand.
bool IsSubMessage(const google::protobuf::FieldDescriptor& field);

// The fields of `message` and of its sub-messages, each with its path from the
// top, in the order of declaration.
std::vector<std::vector<const google::protobuf::FieldDescriptor*>> LeafPaths(
    const google::protobuf::Descriptor& message);

// All aliases declared in `message` and its sub-messages.
std::vector<FieldAlias> Aliases(const google::protobuf::Descriptor& message);

// The field marked scalar_key or catch_all; or null.
const google::protobuf::FieldDescriptor* ScalarKey(const google::protobuf::Descriptor& message);
const google::protobuf::FieldDescriptor* CatchAll(const google::protobuf::Descriptor& message);

// The field that tells the elements of a map or keyed list apart; else null.
const google::protobuf::FieldDescriptor* KeyField(const google::protobuf::FieldDescriptor& field);

// MASE's flat keys: "data_in_width" is the field width of the sub-message
// data_in. The sub-message's field if `key` is such a key, and the rest of it.
struct FlatKey {
  const google::protobuf::FieldDescriptor* field;
  absl::string_view rest;
};
absl::optional<FlatKey> FindFlatKey(const google::protobuf::Descriptor& message,
                                    absl::string_view key);

// The name here of what other tools call `name`, at the top level: "learning_rate" for "lr", an
// alias where the field lies deeper; "" if there is none.
std::string NameFromElsewhere(absl::string_view name, const google::protobuf::Descriptor& message);

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& message);

// Every key that a table for `message` may have, for suggestions: fields, flat keys.
std::vector<std::string> KnownKeys(const google::protobuf::Descriptor& message);

// Keys of MASE's files and flags that have no meaning here: accepted, with a note.
struct IgnoredKey {
  const char* key;         // In files, and as a flag.
  const char* other_flag;  // MASE's flag where it is another name, else "".
  bool is_switch;          // As a flag it takes no value.
  const char* reason;
};
const IgnoredKey* FindIgnoredSetting(absl::string_view key);     // At the top level.
const IgnoredKey* FindIgnoredPassOption(absl::string_view key);  // In any pass's table.

}  // namespace mase

#endif  // MASE_CONFIG_SCHEMA_H_
