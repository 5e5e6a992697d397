// The types of options messages that a run may meet: those that are compiled in or came with an
// opened plugin, and those of plugins that run in processes of their own, of which this process
// knows the descriptions alone.
#ifndef MASE_CONFIG_OPTIONS_TYPES_H_
#define MASE_CONFIG_OPTIONS_TYPES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/message.h"

namespace mase {

// Makes the messages of these files known, as long as the program runs. The files may be any
// plugin's: InvalidArgument, naming the file, where one does not fit those that are known, or has
// the name of another. Files that are known already are passed over.
absl::Status AddOptionsTypes(const google::protobuf::FileDescriptorSet& files);

// The type of that full name, "mase.plugins.quantize.QuantizeOptions"; null if there is none.
const google::protobuf::Descriptor* FindOptionsType(const std::string& full_name);

// An empty message of a type that FindOptionsType gave; it lives as long as the program.
const google::protobuf::Message& OptionsPrototype(const google::protobuf::Descriptor& type);

}  // namespace mase

#endif  // MASE_CONFIG_OPTIONS_TYPES_H_
