// Keeps in the program what plugins may need of generated code. Unlike the core's
// libraries those of proto files are linked only where something names them; one
// message of each file brings it in whole.
#include <array>

#include "google/protobuf/message.h"
#include "proto/format.pb.h"
#include "proto/metadata.pb.h"
#include "proto/options.pb.h"
#include "proto/quantize.pb.h"

namespace mase {

extern const std::array<const google::protobuf::Message*, 4> kProtosForPlugins;
const std::array<const google::protobuf::Message*, 4> kProtosForPlugins = {
    &FormatProto::default_instance(),
    &NodeMetadata::default_instance(),
    &QuantizeRule::default_instance(),
    &Setting::default_instance(),
};

}  // namespace mase
