#include "mase/tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr size_t kAlignment = 64;

enum class Content { kAny, kZeros };

// Aligned. Zeros are not written: large memory is the system's, which gives zeros, and takes none
// before somebody writes to it. Null if there is none.
std::shared_ptr<void> NewMemory(size_t bytes, Content content) {
  if (content == Content::kAny) {
    void* const memory = std::aligned_alloc(kAlignment, bytes);
    return memory == nullptr ? nullptr : std::shared_ptr<void>(memory, std::free);
  }
  void* const memory = std::calloc(bytes + kAlignment, 1);
  if (memory == nullptr) return nullptr;
  size_t space = bytes + kAlignment;
  void* aligned = memory;
  std::align(kAlignment, bytes, aligned, space);
  return {std::shared_ptr<void>(memory, std::free), aligned};
}

// Never zero bytes, so that data() is never null.
absl::StatusOr<std::shared_ptr<void>> Allocate(size_t bytes, DType dtype, const Shape& shape,
                                               Content content) {
  const size_t rounded = (bytes / kAlignment + 1) * kAlignment;
  const auto counted = static_cast<int64_t>(rounded);
  const bool large = counted >= kLeastCountedBytes;
  const auto what = [&] { return absl::StrCat(DTypeName(dtype), shape.ToString()); };
  if (large) MASE_RETURN_IF_ERROR(CheckMemory(counted, what()));
  std::shared_ptr<void> memory = NewMemory(rounded, content);
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what(), " wants ", MemoryText(counted), " of memory, which there is not"));
  }
  if (!large) return memory;
  CountMemory(counted);
  void* const data = memory.get();
  return std::shared_ptr<void>(data, [counted, memory = std::move(memory)](void*) mutable {
    memory.reset();
    CountMemory(-counted);
  });
}

}  // namespace

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  absl::StatusOr<std::shared_ptr<void>> memory =
      Allocate(size_bytes(), dtype_, shape_, Content::kAny);
  if (!memory.ok()) throw MemoryError(memory.status());
  data_ = memory->get();
  owner_ = *std::move(memory);
}

absl::StatusOr<Tensor> Tensor::Create(DType dtype, const Shape& shape) {
  return Make(dtype, shape, /*zeros=*/false);
}

absl::StatusOr<Tensor> Tensor::CreateZeros(DType dtype, const Shape& shape) {
  return Make(dtype, shape, /*zeros=*/true);
}

absl::StatusOr<Tensor> Tensor::Make(DType dtype, const Shape& shape, bool zeros) {
  MASE_RETURN_IF_ERROR(shape.Validate());
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = shape;
  MASE_ASSIGN_OR_RETURN(
      std::shared_ptr<void> memory,
      Allocate(tensor.size_bytes(), dtype, shape, zeros ? Content::kZeros : Content::kAny));
  tensor.data_ = memory.get();
  tensor.owner_ = std::move(memory);
  return tensor;
}

Tensor Tensor::Zeros(DType dtype, const Shape& shape) {
  absl::StatusOr<Tensor> tensor = CreateZeros(dtype, shape);
  if (!tensor.ok()) throw MemoryError(tensor.status());
  return *std::move(tensor);
}

Tensor Tensor::View(DType dtype, Shape shape, const void* bytes,
                    std::shared_ptr<const void> owner) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.data_ = bytes;
  tensor.owner_ = std::move(owner);
  tensor.foreign_ = true;
  return tensor;
}

void* Tensor::mutable_raw_data() {
  if (foreign_ || owner_.use_count() != 1) {
    Tensor unique(dtype_, shape_);
    // memcpy from null is undefined even for no bytes.
    if (size_bytes() > 0) std::memcpy(const_cast<void*>(unique.data_), data_, size_bytes());
    *this = std::move(unique);
  }
  // Sole owner of memory that Allocate() handed out as writable.
  return const_cast<void*>(data_);
}

Tensor Tensor::Reshape(Shape shape) const {
  CHECK_EQ(shape.elements(), elements()) << shape_.ToString() << " to " << shape.ToString();
  Tensor reshaped = *this;
  reshaped.shape_ = std::move(shape);
  return reshaped;
}

Tensor Tensor::Rows(int64_t begin, int64_t end) const {
  CHECK_GE(shape_.rank(), 1);
  CHECK(0 <= begin && begin <= end && end <= shape_[0])
      << "rows " << begin << ".." << end << " of " << shape_.ToString();
  Tensor rows = *this;
  rows.shape_.set_dim(0, end - begin);
  const size_t row_bytes = shape_[0] == 0 ? 0 : size_bytes() / shape_[0];
  rows.data_ = static_cast<const char*>(data_) + begin * row_bytes;
  rows.foreign_ = true;  // A part of a buffer: writing must not touch the rest.
  return rows;
}

void Tensor::CheckDType(DType expected) const {
  CHECK(dtype_ == expected) << "tensor holds " << DTypeName(dtype_) << ", read as "
                            << DTypeName(expected);
}

void Tensor::CopyFrom(const void* bytes, size_t size) {
  CHECK_EQ(size, size_bytes()) << shape_.ToString();
  if (size > 0) std::memcpy(mutable_raw_data(), bytes, size);
}

bool BitEqual(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return a.size_bytes() == 0 || std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()) == 0;
}

}  // namespace mase
