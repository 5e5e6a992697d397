#include "mase/exec/tensor_store.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int64_t kAlignment = 16;

int64_t RoundUp(int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

template <typename From, typename To>
void Convert(absl::Span<const From> src, To* dst) {
  for (size_t i = 0; i < src.size(); ++i) dst[i] = static_cast<To>(src[i]);
}

// Element types that trained tensors and buffers may have.
template <typename T>
absl::Status Read(const GraphTensor& tensor, T* dst) {
  switch (tensor.value.dtype()) {
    case DType::kFloat32:
      Convert(tensor.value.data<float>(), dst);
      return absl::OkStatus();
    case DType::kFloat64:
      Convert(tensor.value.data<double>(), dst);
      return absl::OkStatus();
    case DType::kInt64:
      Convert(tensor.value.data<int64_t>(), dst);
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrCat(tensor.name, ": element type ",
                                                   DTypeName(tensor.value.dtype()),
                                                   " of a module's tensor"));
  }
}

template <typename T>
void Write(const T* src, Tensor* tensor) {
  const size_t count = static_cast<size_t>(tensor->elements());
  switch (tensor->dtype()) {
    case DType::kFloat64:
      return Convert(absl::MakeSpan(src, count), tensor->mutable_data<double>().data());
    case DType::kInt64:
      for (size_t i = 0; i < count; ++i) {
        tensor->mutable_data<int64_t>()[i] = std::llround(static_cast<double>(src[i]));
      }
      return;
    default:
      return Convert(absl::MakeSpan(src, count), tensor->mutable_data<float>().data());
  }
}

absl::Status CheckSlot(const TensorSlot& slot, const GraphTensor* tensor) {
  if (tensor == nullptr) {
    return absl::NotFoundError(absl::StrCat("the graph has no tensor '", slot.name, "'"));
  }
  if (tensor->value.shape() != slot.shape) {
    return absl::InvalidArgumentError(absl::StrCat(slot.name, ": shape ",
                                                   tensor->value.shape().ToString(), ", want ",
                                                   slot.shape.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

template <typename T>
TensorStore<T>::TensorStore(const Graph& graph) {
  int64_t sizes[2] = {0, 0};
  for (const GraphTensor& tensor : graph.tensors()) {
    std::vector<TensorSlot>& slots = tensor.buffer ? buffer_slots_ : parameter_slots_;
    by_name_[tensor.name] = {tensor.buffer, slots.size()};
    slots.push_back({tensor.name, tensor.value.shape(), sizes[tensor.buffer]});
    sizes[tensor.buffer] += RoundUp(tensor.value.elements());
  }
  parameters_ = AlignedArray<T>(sizes[0]);
  buffers_ = AlignedArray<T>(sizes[1]);
}

template <typename T>
absl::Status TensorStore<T>::LoadFrom(const Graph& graph) {
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    T* base = (slots == &buffer_slots_ ? buffers_ : parameters_).data();
    for (const TensorSlot& slot : *slots) {
      const GraphTensor* tensor = graph.FindTensor(slot.name);
      MASE_RETURN_IF_ERROR(CheckSlot(slot, tensor));
      MASE_RETURN_IF_ERROR(Read(*tensor, base + slot.offset));
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status TensorStore<T>::StoreTo(Graph& graph) const {
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    for (const TensorSlot& slot : *slots) {
      MASE_RETURN_IF_ERROR(CheckSlot(slot, graph.FindTensor(slot.name)));
    }
  }
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    const T* base = (slots == &buffer_slots_ ? buffers_ : parameters_).data();
    for (const TensorSlot& slot : *slots) {
      Write(base + slot.offset, graph.MutableTensor(slot.name));
    }
  }
  return absl::OkStatus();
}

template <typename T>
typename TensorStore<T>::Place TensorStore<T>::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end()) << "no tensor " << name;
  const auto [buffer, slot] = found->second;
  if (buffer) return {buffers_.data() + buffer_slots_[slot].offset, nullptr, true};
  const int64_t offset = parameter_slots_[slot].offset;
  return {parameters_.data() + offset,
          gradients_.data() == nullptr ? nullptr : gradients_.data() + offset, false};
}

template <typename T>
void TensorStore<T>::AllocateGradients() {
  if (gradients_.data() == nullptr) gradients_ = AlignedArray<T>(parameters_.size());
}

template class TensorStore<float>;
template class TensorStore<double>;

}  // namespace mase
