// Checkpoints: tensors, the graph as text proto, the recipe.
#include "mase/model/checkpoint.h"

#include <cstddef>
#include <cstdint>

#include "mase/graph/graph_io.h"
#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::LoadCheckpoint(file.path());
  // Files have a checksum, which changed bytes do not get by: the graph's text also by itself.
  (void)mase::GraphFromText({reinterpret_cast<const char*>(data), size});
  return 0;
}
