#include "mase/testing/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace mase {

MemoryFile::MemoryFile(const uint8_t* bytes, size_t size)
    : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, bytes, size);
    if (written < 0) std::abort();
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", descriptor_); }

}  // namespace mase
