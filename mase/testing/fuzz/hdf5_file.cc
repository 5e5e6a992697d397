// HDF5 files, whole: what is read in a child of this process (mase/data/hdf5_library.h), too. That
// makes several children an input; the target "hdf5" gives what comes behind them far more.
#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "mase/data/hdf5.h"
#include "mase/testing/fuzz/memory_file.h"

// Of the address sanitizer, where it is there.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

// A child that libhdf5 makes crash is no finding: libFuzzer must not write its input.
static void LetChildrenCrash() {
  static const int once = ::pthread_atfork(nullptr, nullptr, [] {
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(nullptr);
  });
  (void)once;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  LetChildrenCrash();
  const mase::MemoryFile file(data, size);
  (void)mase::ReadHdf5(file.path(), {});
  (void)mase::ReadHdf5Table(
      file.path(),
      {.dataset = "t", .features = {"a", "b"}, .one_hot = {"x", "y"}, .classes = {"x", "y"}});
  return 0;
}
