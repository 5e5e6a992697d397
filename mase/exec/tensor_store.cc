#include "mase/exec/tensor_store.h"

#include <algorithm>
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

}  // namespace

TensorStore::TensorStore(const Graph& graph, DType dtype) : dtype_(dtype) {
  CHECK(dtype == DType::kFloat32 || dtype == DType::kFloat64) << DTypeName(dtype);
  for (const GraphTensor& tensor : graph.tensors()) {
    AddSlot(tensor.name, tensor.value.shape(), tensor.buffer);
  }
  for (OperandState& state : OperandStatesOf(graph)) {
    AddSlot(state.slot, state.shape, /*buffer=*/false);
    states_.emplace(state.slot, std::move(state));
  }
  const auto bytes = [&](const std::vector<TensorSlot>& slots) {
    return slots.empty() ? 0 : Bytes(slots.back().offset + RoundUp(slots.back().shape.elements()));
  };
  parameters_ = AlignedBytes(bytes(parameter_slots_));
  buffers_ = AlignedBytes(bytes(buffer_slots_));
}

void TensorStore::AddSlot(std::string name, const Shape& shape, bool buffer) {
  std::vector<TensorSlot>& slots = buffer ? buffer_slots_ : parameter_slots_;
  const int64_t offset =
      slots.empty() ? 0 : slots.back().offset + RoundUp(slots.back().shape.elements());
  by_name_[name] = {buffer, slots.size()};
  slots.push_back({std::move(name), shape, offset});
}

absl::Status TensorStore::CheckSlots(const Graph& graph) const {
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    for (const TensorSlot& slot : *slots) {
      if (const auto state = states_.find(slot.name); state != states_.end()) {
        std::vector<float> values(slot.shape.elements());
        MASE_RETURN_IF_ERROR(state->second.Read(graph, absl::MakeSpan(values)));
        continue;
      }
      const GraphTensor* tensor = graph.FindTensor(slot.name);
      if (tensor == nullptr) {
        return absl::NotFoundError(absl::StrCat("the graph has no tensor '", slot.name, "'"));
      }
      if (tensor->value.shape() != slot.shape) {
        return absl::InvalidArgumentError(absl::StrCat(slot.name, ": shape ",
                                                       tensor->value.shape().ToString(), ", want ",
                                                       slot.shape.ToString()));
      }
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status TensorStore::LoadNumbers(const Graph& graph) {
  MASE_RETURN_IF_ERROR(CheckSlots(graph));
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    const AlignedBytes& bytes = slots == &buffer_slots_ ? buffers_ : parameters_;
    T* base = bytes.as<T>().data();
    for (const TensorSlot& slot : *slots) {
      if (const auto state = states_.find(slot.name); state != states_.end()) {
        std::vector<float> values(slot.shape.elements());
        MASE_RETURN_IF_ERROR(state->second.Read(graph, absl::MakeSpan(values)));
        std::copy(values.begin(), values.end(), base + slot.offset);
      } else {
        MASE_RETURN_IF_ERROR(Read(*graph.FindTensor(slot.name), base + slot.offset));
      }
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status TensorStore::StoreNumbers(Graph& graph) const {
  MASE_RETURN_IF_ERROR(CheckSlots(graph));
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    const AlignedBytes& bytes = slots == &buffer_slots_ ? buffers_ : parameters_;
    const T* base = bytes.as<T>().data();
    for (const TensorSlot& slot : *slots) {
      if (const auto state = states_.find(slot.name); state != states_.end()) {
        const std::vector<float> values(base + slot.offset,
                                        base + slot.offset + slot.shape.elements());
        MASE_RETURN_IF_ERROR(state->second.Write(values, graph));
      } else {
        Write(base + slot.offset, graph.MutableTensor(slot.name));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status TensorStore::LoadFrom(const Graph& graph) {
  return dtype_ == DType::kFloat32 ? LoadNumbers<float>(graph) : LoadNumbers<double>(graph);
}

absl::Status TensorStore::StoreTo(Graph& graph) const {
  return dtype_ == DType::kFloat32 ? StoreNumbers<float>(graph) : StoreNumbers<double>(graph);
}

TensorStore::Place TensorStore::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end()) << "no tensor " << name;
  const auto [buffer, index] = found->second;
  const TensorSlot& slot = (buffer ? buffer_slots_ : parameter_slots_)[index];
  const int64_t offset = Bytes(slot.offset);
  if (buffer) return {buffers_.data() + offset, nullptr, true, slot.shape};
  return {parameters_.data() + offset,
          gradients_.data() == nullptr ? nullptr : gradients_.data() + offset, false, slot.shape};
}

void TensorStore::AllocateGradients() {
  if (gradients_.data() == nullptr) gradients_ = AlignedBytes(parameters_.size());
}

}  // namespace mase
