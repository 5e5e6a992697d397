// The one C symbol of a plugin, and the build signature that it is checked by.
//
// C decides whether host and plugin talk; then both use the same C++ classes. That
// is safe only if both were compiled alike, so the signature names everything that
// changes a layout: compiler, language, standard library, protobuf, Abseil,
// sanitizers, and a hash of the headers that plugins see (api_hash.h, written by
// the build). Host and plugin expand it separately.
#ifndef MASE_PLUGIN_PLUGIN_INFO_H_
#define MASE_PLUGIN_PLUGIN_INFO_H_

#include <cstdint>
#include <string>  // For the standard library's own macros.

#include "absl/base/config.h"
#include "google/protobuf/stubs/common.h"
#include "mase/plugin/api_hash.h"

namespace mase {
class PassRegistrar;
}

extern "C" {

// What a plugin says of itself. Text lives as long as the plugin is loaded.
struct MasePluginInfo {
  uint32_t struct_size;         // As the plugin compiled it; read first.
  uint32_t abi_version;         // Layout and meaning of this struct: kMasePluginAbiVersion.
  const char* build_signature;  // MASE_BUILD_SIGNATURE, compared as text.
  const char* name;             // Equals the file's stem.
  const char* version;          // The plugin's own, for reports.
  // Says which passes there are. Must not throw.
  void (*register_passes)(mase::PassRegistrar*);
};

// Every plugin defines this, through MASE_DEFINE_PLUGIN of plugin.h.
__attribute__((visibility("default"))) const MasePluginInfo* MasePluginGetInfo(void);

}  // extern "C"

namespace mase {
inline constexpr uint32_t kMasePluginAbiVersion = 1;
}

#define MASE_TEXT_INNER_(x) #x
#define MASE_TEXT_(x) MASE_TEXT_INNER_(x)

#ifdef _GLIBCXX_DEBUG
#define MASE_SIGNATURE_DEBUG_ ";glibcxx_debug"
#else
#define MASE_SIGNATURE_DEBUG_ ""
#endif
#ifdef NDEBUG
#define MASE_SIGNATURE_ASSERT_ ""
#else
#define MASE_SIGNATURE_ASSERT_ ";assert"
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MASE_SIGNATURE_SANITIZER_ ";asan"
#elif defined(__SANITIZE_THREAD__)
#define MASE_SIGNATURE_SANITIZER_ ";tsan"
#else
#define MASE_SIGNATURE_SANITIZER_ ""
#endif

#define MASE_BUILD_SIGNATURE \
  "gcc" MASE_TEXT_(__GNUC__) ";gxx" MASE_TEXT_(__GXX_ABI_VERSION) ";std" MASE_TEXT_(         \
      __cplusplus) ";cxx11abi" MASE_TEXT_(_GLIBCXX_USE_CXX11_ABI) MASE_SIGNATURE_DEBUG_      \
      MASE_SIGNATURE_ASSERT_ MASE_SIGNATURE_SANITIZER_ ";protobuf" MASE_TEXT_(               \
          GOOGLE_PROTOBUF_VERSION) ";absl" MASE_TEXT_(ABSL_LTS_RELEASE_VERSION) "." MASE_TEXT_( \
          ABSL_LTS_RELEASE_PATCH_LEVEL) ";api-" MASE_API_HASH

#endif  // MASE_PLUGIN_PLUGIN_INFO_H_
