// The look at a plugin before it is opened.
#include <cstddef>
#include <cstdint>

#include "mase/plugin/elf_check.h"
#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::CheckElfSharedObject(file.path(), "MasePluginGetInfo");
  return 0;
}
