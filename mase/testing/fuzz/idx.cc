// The idx files of MNIST.
#include <cstddef>
#include <cstdint>

#include "mase/data/images.h"
#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::ReadIdx(file.path());
  return 0;
}
