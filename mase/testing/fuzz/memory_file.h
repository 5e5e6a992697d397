// Bytes as a file that is nowhere on a disk.
#ifndef MASE_TESTING_FUZZ_MEMORY_FILE_H_
#define MASE_TESTING_FUZZ_MEMORY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace mase {

// One lives at a time: all are the same file, whose pages the system need not make anew for each
// input.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* bytes, size_t size);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const;
};

}  // namespace mase

#endif  // MASE_TESTING_FUZZ_MEMORY_FILE_H_
