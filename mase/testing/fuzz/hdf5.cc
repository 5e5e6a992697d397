// HDF5 files: a table of named members, or arrays.
#include "mase/data/hdf5.h"

#include <cstddef>
#include <cstdint>

#include "mase/testing/fuzz/memory_file.h"

// libhdf5 leaks on its way out of damaged files.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::ReadHdf5(file.path(), {});
  (void)mase::ReadHdf5Table(
      file.path(),
      {.dataset = "t", .features = {"a", "b"}, .one_hot = {"x", "y"}, .classes = {"x", "y"}});
  return 0;
}
