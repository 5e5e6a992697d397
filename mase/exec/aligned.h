// A fixed-size zeroed array on a 64-byte boundary.
#ifndef MASE_EXEC_ALIGNED_H_
#define MASE_EXEC_ALIGNED_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "absl/types/span.h"

namespace mase {

template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(int64_t size) : data_(Allocate(size)), size_(size) {
    std::fill_n(data_.get(), size, T(0));
  }

  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  absl::Span<T> span() const { return {data_.get(), static_cast<size_t>(size_)}; }

 private:
  struct Delete {
    void operator()(T* data) const { std::free(data); }
  };

  // Large arrays start a huge page and ask for such ones: walking through hundreds of megabytes in
  // pages of 4 KiB costs a few hundred cycles a page.
  static T* Allocate(int64_t size) {
    constexpr size_t kCacheLine = 64, kHugePage = size_t{2} << 20;
    const size_t bytes = size * sizeof(T) + kCacheLine;
    const bool large = bytes >= 2 * kHugePage;
    const size_t alignment = large ? kHugePage : kCacheLine;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* data = std::aligned_alloc(alignment, rounded);
    if (data == nullptr) throw std::bad_alloc();
    if (large) madvise(data, rounded, MADV_HUGEPAGE);  // A wish; the kernel may not grant it.
    return static_cast<T*>(data);
  }

  std::unique_ptr<T, Delete> data_;
  int64_t size_ = 0;
};

}  // namespace mase

#endif  // MASE_EXEC_ALIGNED_H_
