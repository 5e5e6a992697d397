// HDF5 files, whole: what is read in a child of this process (mase/data/hdf5_library.h), too. That
// takes a millisecond an input; the target "hdf5" gives what comes behind it more.
#include <cstddef>
#include <cstdint>

#include "mase/data/hdf5.h"
#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::ReadHdf5(file.path(), {});
  (void)mase::ReadHdf5Table(
      file.path(),
      {.dataset = "t", .features = {"a", "b"}, .one_hot = {"x", "y"}, .classes = {"x", "y"}});
  return 0;
}
