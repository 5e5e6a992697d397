// The look at a plugin before it is opened.
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "mase/plugin/elf_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  (void)mase::CheckProtoFiles(file);
  if (!mase::CheckElfSharedObject(file, "MasePluginGetInfo").ok()) return 0;
  (void)mase::PluginNoteOf(file);
  return 0;
}
