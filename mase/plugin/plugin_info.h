// The one C symbol of a plugin, and the note in its file that says how it was built.
//
// C decides whether host and plugin talk; then both use the same C++ classes. That is safe only if
// both were compiled alike. What changes a layout stands in a note of the shared object (section
// .note.mase, as `readelf -n` shows notes), which the host reads before it opens the file, so that
// no code of a plugin that does not fit ever runs: compiler, language, standard library, checks,
// sanitizers, protobuf, Abseil, and a hash of the headers that plugins see (api_hash.h, written by
// the build). mase/plugin/signature.h compares.
#ifndef MASE_PLUGIN_PLUGIN_INFO_H_
#define MASE_PLUGIN_PLUGIN_INFO_H_

#include <cstddef>
#include <cstdint>
#include <string>  // For the standard library's own macros.

#include "absl/base/config.h"
#include "google/protobuf/stubs/common.h"
#include "mase/plugin/api_hash.h"

namespace mase {
class PassRegistrar;
}

// What a plugin that says nothing of it has: those that are built with the core are this project's.
#ifdef MASE_PLUGIN_USES_CORE
#define MASE_PLUGIN_OWNER_ "MASE in C++"
#define MASE_PLUGIN_STATUS_ "stable"
#else
#define MASE_PLUGIN_OWNER_ ""
#define MASE_PLUGIN_STATUS_ ""
#endif

extern "C" {

// What a plugin says of itself. Text lives as long as the plugin is loaded.
struct MasePluginInfo {
  uint32_t struct_size;  // As the plugin compiled it; read first.
  uint32_t abi_version;  // Layout and meaning of this struct: kMasePluginAbiVersion.
  const char* name;      // Equals the file's stem.
  const char* version;   // The plugin's own, for reports.
  // Says which passes there are. Must not throw.
  void (*register_passes)(mase::PassRegistrar*);
  // Who answers for it, in a few words: a team, a person, an address; "" if nobody is named.
  const char* owner = MASE_PLUGIN_OWNER_;
  // "stable", "experimental" while options and results may still change, or "".
  const char* status = MASE_PLUGIN_STATUS_;
};

// Every plugin defines this, through MASE_DEFINE_PLUGIN of plugin.h.
__attribute__((visibility("default"))) const MasePluginInfo* MasePluginGetInfo(void);

}  // extern "C"

namespace mase {
inline constexpr uint32_t kMasePluginAbiVersion = 2;
}

#define MASE_TEXT_INNER_(x) #x
#define MASE_TEXT_(x) MASE_TEXT_INNER_(x)

#ifdef __clang__
#define MASE_SIGNATURE_COMPILER_ "clang " MASE_TEXT_(__clang_major__)
#else
#define MASE_SIGNATURE_COMPILER_ "gcc " MASE_TEXT_(__GNUC__)
#endif
#ifdef _GLIBCXX_DEBUG
#define MASE_SIGNATURE_DEBUG_ "1"
#else
#define MASE_SIGNATURE_DEBUG_ "0"
#endif
#ifdef NDEBUG
#define MASE_SIGNATURE_NDEBUG_ "1"
#else
#define MASE_SIGNATURE_NDEBUG_ "0"
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MASE_SIGNATURE_SANITIZER_ "address"
#elif defined(__SANITIZE_THREAD__) || defined(MASE_THREAD_SANITIZER)
#define MASE_SIGNATURE_SANITIZER_ "thread"
#else
#define MASE_SIGNATURE_SANITIZER_ "none"
#endif

// "field=value;..." in this order. The fields are a table of signature.cc.
#define MASE_BUILD_SIGNATURE \
  "plugin_abi=2"                                                           \
  ";compiler=" MASE_SIGNATURE_COMPILER_                                    \
  ";cxx_abi=" MASE_TEXT_(__GXX_ABI_VERSION)                                \
  ";standard=" MASE_TEXT_(__cplusplus)                                     \
  ";cxx11_strings=" MASE_TEXT_(_GLIBCXX_USE_CXX11_ABI)                     \
  ";glibcxx_debug=" MASE_SIGNATURE_DEBUG_                                  \
  ";ndebug=" MASE_SIGNATURE_NDEBUG_                                        \
  ";sanitizer=" MASE_SIGNATURE_SANITIZER_                                  \
  ";protobuf=" MASE_TEXT_(GOOGLE_PROTOBUF_VERSION)                         \
  ";abseil=" MASE_TEXT_(ABSL_LTS_RELEASE_VERSION) "." MASE_TEXT_(          \
      ABSL_LTS_RELEASE_PATCH_LEVEL)                                        \
  ";api=" MASE_API_HASH

namespace mase {

// An ELF note, as the linker keeps it: owner "MASE", type 1, text.
template <size_t kBytes>
struct PluginNote {
  uint32_t owner_bytes = 5, text_bytes = kBytes, type = 1;
  char owner[8] = "MASE";
  char text[(kBytes + 3) / 4 * 4];
};

}  // namespace mase

// Puts the signature of this compilation into the shared object that it becomes a part of.
#define MASE_SIGN_PLUGIN_(signature)                                          \
  namespace {                                                                 \
  __attribute__((section(".note.mase"), used,                                 \
                 aligned(4))) constexpr ::mase::PluginNote<sizeof(signature)> \
      kMasePluginNote = {.text = signature};                                  \
  }

#endif  // MASE_PLUGIN_PLUGIN_INFO_H_
