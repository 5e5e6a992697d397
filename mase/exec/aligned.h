// A fixed-size zeroed array on a 64-byte boundary.
#ifndef MASE_EXEC_ALIGNED_H_
#define MASE_EXEC_ALIGNED_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

#include "absl/types/span.h"

namespace mase {

template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(int64_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T) + 64, std::align_val_t{64}))),
        size_(size) {
    std::fill_n(data_.get(), size, T(0));
  }

  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  absl::Span<T> span() const { return {data_.get(), static_cast<size_t>(size_)}; }

 private:
  struct Delete {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Delete> data_;
  int64_t size_ = 0;
};

}  // namespace mase

#endif  // MASE_EXEC_ALIGNED_H_
