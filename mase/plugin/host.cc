// What this program exports to plugins besides the core.
//
// Keeps in the program what plugins may need of generated code. Unlike the core's
// libraries those of proto files are linked only where something names them; one
// message of each file brings it in whole.
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "google/protobuf/message.h"
#include "mase/base/last_words.h"
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

// The C library's functions that end a program without asking anybody. A plugin finds these ones,
// so that it does not end the program as if all were done.
extern "C" {

void _exit(int exit_code) {
  mase::EndIfWatched("called _exit");
  for (;;) ::syscall(SYS_exit_group, exit_code);
}

void _Exit(int exit_code) noexcept { _exit(exit_code); }

}  // extern "C"
