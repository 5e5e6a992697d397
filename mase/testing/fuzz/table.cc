// Tables of data as text: CSV and its dialects, ARFF, LIBSVM, each also packed by gzip.
#include "mase/data/table.h"

#include <cstddef>
#include <cstdint>

#include "mase/testing/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::MemoryFile file(data, size);
  (void)mase::ReadTable(file.path(), {});
  (void)mase::ReadTable(file.path(), {.label = "class", .features = {"a", "b"}});
  return 0;
}
