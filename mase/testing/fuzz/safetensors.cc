// Files of named tensors.
#include "mase/interop/safetensors.h"

#include <cstddef>
#include <cstdint>

#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::ReadSafeTensors(file.path());
  return 0;
}
