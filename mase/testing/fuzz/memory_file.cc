#include "mase/testing/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace mase {
namespace {

int Descriptor() {
  static const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
  return descriptor;
}

}  // namespace

MemoryFile::MemoryFile(const uint8_t* bytes, size_t size) {
  if (::ftruncate(Descriptor(), static_cast<off_t>(size)) != 0) std::abort();
  for (size_t at = 0; at < size;) {
    const ssize_t written = ::pwrite(Descriptor(), bytes + at, size - at, static_cast<off_t>(at));
    if (written < 0) std::abort();
    at += static_cast<size_t>(written);
  }
}

const std::string& MemoryFile::path() const {
  static const std::string path = absl::StrCat("/proc/self/fd/", Descriptor());
  return path;
}

}  // namespace mase
