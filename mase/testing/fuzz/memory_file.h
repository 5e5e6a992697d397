// Bytes as a file that is nowhere on a disk.
#ifndef MASE_TESTING_FUZZ_MEMORY_FILE_H_
#define MASE_TESTING_FUZZ_MEMORY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace mase {

class MemoryFile {
 public:
  MemoryFile(const uint8_t* bytes, size_t size);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const;

 private:
  const int descriptor_;
};

}  // namespace mase

#endif  // MASE_TESTING_FUZZ_MEMORY_FILE_H_
