// Shared objects that are refused before any code of them runs. The BUILD file compiles this once
// for each, with TINY_<NAME> defined.
#include "mase/plugin/plugin_info.h"

#ifdef TINY_other_build  // As an older language, with checks, against other headers.
MASE_SIGN_PLUGIN_(
    "plugin_abi=2;compiler=clang 14;cxx_abi=1017;standard=201703L;cxx11_strings=1;glibcxx_debug=1;"
    "ndebug=0;sanitizer=" MASE_SIGNATURE_SANITIZER_
    ";protobuf=3021012;abseil=20220623.1;api=0123456789abcdef")
#elif defined(TINY_other_libraries)
MASE_SIGN_PLUGIN_(
    "plugin_abi=1;compiler=gcc 11;cxx_abi=1016;standard=202002L;cxx11_strings=0;glibcxx_debug=0;"
    "ndebug=1;sanitizer=memory;protobuf=3019004;abseil=20210324.2;api=0123456789abcdef")
#elif !defined(TINY_no_note)
MASE_SIGN_PLUGIN_(MASE_BUILD_SIGNATURE)
#endif

#ifdef TINY_brings_protos
// As protoc embeds it: a proto file of the core's.
extern "C" __attribute__((visibility("default"), used)) const char kDescriptor[] =
    "\n\x13proto/options.proto\x12\x04mase\x62\x06proto3";
#endif

#if defined(TINY_data_entry)  // The entry point's name on a number.
extern "C" {
extern __attribute__((visibility("default"))) const int kNumber asm("MasePluginGetInfo");
const int kNumber = 5;
}
#elif defined(TINY_undefined)
namespace mase {
const MasePluginInfo* MissingFromEveryHost(int);
}
extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return mase::MissingFromEveryHost(1); }
#elif defined(TINY_undefined_elsewhere)
extern "C" const MasePluginInfo* other_library_function(void);
extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return other_library_function(); }
#elif defined(TINY_needs_library)
extern "C" const MasePluginInfo* mase_nowhere(void);
extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return mase_nowhere(); }
#elif !defined(TINY_no_entry)
extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return nullptr; }
#endif
