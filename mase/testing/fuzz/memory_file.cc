#include "mase/testing/fuzz/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace mase {
namespace {

// A file in memory that has a name, for as long as the program runs (after a crash it
// stays). Behind /proc/self/fd there is
// none, and libhdf5, which resolves what it opens, finds no file there.
class SharedMemory {
 public:
  SharedMemory()
      : name_(absl::StrCat("/mase_fuzz_", ::getpid())),
        descriptor_(::shm_open(name_.c_str(), O_RDWR | O_CREAT, 0600)) {
    PCHECK(descriptor_ >= 0) << name_;
    std::atexit([] { ::shm_unlink(Get().name_.c_str()); });
  }
  static const SharedMemory& Get() {
    static const SharedMemory& file = *new SharedMemory;
    return file;
  }
  int descriptor() const { return descriptor_; }
  std::string path() const { return absl::StrCat("/dev/shm", name_); }

 private:
  const std::string name_;
  const int descriptor_;
};

}  // namespace

MemoryFile::MemoryFile(const uint8_t* bytes, size_t size) {
  const int file = SharedMemory::Get().descriptor();
  PCHECK(::ftruncate(file, static_cast<off_t>(size)) == 0);
  for (size_t at = 0; at < size;) {
    const ssize_t written = ::pwrite(file, bytes + at, size - at, static_cast<off_t>(at));
    PCHECK(written >= 0);
    at += static_cast<size_t>(written);
  }
}

const std::string& MemoryFile::path() const {
  static const std::string path = SharedMemory::Get().path();
  return path;
}

}  // namespace mase
