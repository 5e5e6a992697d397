// A fixed-size zeroed block of memory on a 64-byte boundary.
#ifndef MASE_EXEC_ALIGNED_H_
#define MASE_EXEC_ALIGNED_H_

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "absl/types/span.h"
#include "mase/base/memory_budget.h"

namespace mase {

class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(int64_t size) : data_(Allocate(size)), size_(size) {
    std::memset(data_.get(), 0, static_cast<size_t>(size));
  }

  // Null if it was never given a size.
  char* data() const { return data_.get(); }
  int64_t size() const { return size_; }

  // The block as elements of T, of which it holds a whole number.
  template <typename T>
  absl::Span<T> as() const {
    return {reinterpret_cast<T*>(data_.get()), static_cast<size_t>(size_) / sizeof(T)};
  }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };

  // Large blocks start a huge page and ask for such ones: walking through hundreds of megabytes in
  // pages of 4 KiB costs a few hundred cycles a page.
  static char* Allocate(int64_t size) {
    constexpr size_t kCacheLine = 64, kHugePage = size_t{2} << 20;
    const size_t bytes = static_cast<size_t>(size) + kCacheLine;
    const bool large = bytes >= 2 * kHugePage;
    const size_t alignment = large ? kHugePage : kCacheLine;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    const auto counted = static_cast<int64_t>(rounded);
    if (const absl::Status fits = CheckMemory(counted, "the net, prepared to run,"); !fits.ok()) {
      throw MemoryError(fits);
    }
    void* data = std::aligned_alloc(alignment, rounded);
    if (data == nullptr) throw std::bad_alloc();
    if (large) madvise(data, rounded, MADV_HUGEPAGE);  // A wish; the kernel may not grant it.
    return static_cast<char*>(data);
  }

  std::unique_ptr<char, Free> data_;
  int64_t size_ = 0;
};

}  // namespace mase

#endif  // MASE_EXEC_ALIGNED_H_
