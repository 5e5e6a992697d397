#include "mase/exec/tensor_store.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/status_macros.h"
#include "mase/format/lsq.h"
#include "mase/quantize/operands.h"

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

// The operand's format if it has a learned step, else null.
const LsqFormat* FindStep(const Graph& graph, const std::string& node, absl::string_view operand) {
  const Node* found = graph.FindNode(node);
  const FormatProto* format = found == nullptr ? nullptr : FindFormat(*found, operand);
  return format == nullptr || !HasLearnedStep(*format) ? nullptr : &format->lsq();
}

void SetStep(const std::string& name, absl::string_view operand, float step, Graph& graph) {
  Node* node = graph.FindNode(name);
  Quantization record = *node->quantization();
  for (OperandFormat& format : *record.mutable_operand()) {
    if (format.operand() == operand) format.mutable_format()->mutable_lsq()->set_scale(step);
  }
  graph.SetQuantization(node, std::move(record));
}

}  // namespace

std::string LearnedStepSlot(const Node& node, absl::string_view operand) {
  return absl::StrCat(node.name(), ".", operand, "_scale");
}

template <typename T>
TensorStore<T>::TensorStore(const Graph& graph) {
  for (const GraphTensor& tensor : graph.tensors()) {
    AddSlot(tensor.name, tensor.value.shape(), tensor.buffer);
  }
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->quantization() == nullptr) continue;
    for (const OperandFormat& operand : node->quantization()->operand()) {
      if (!HasLearnedStep(operand.format())) continue;
      const std::string slot = LearnedStepSlot(*node, operand.operand());
      steps_[slot] = {node->name(), operand.operand()};
      AddSlot(slot, {1}, /*buffer=*/false);
    }
  }
  const auto size = [](const std::vector<TensorSlot>& slots) {
    return slots.empty() ? 0 : slots.back().offset + RoundUp(slots.back().shape.elements());
  };
  parameters_ = AlignedArray<T>(size(parameter_slots_));
  buffers_ = AlignedArray<T>(size(buffer_slots_));
}

template <typename T>
void TensorStore<T>::AddSlot(std::string name, const Shape& shape, bool buffer) {
  std::vector<TensorSlot>& slots = buffer ? buffer_slots_ : parameter_slots_;
  const int64_t offset =
      slots.empty() ? 0 : slots.back().offset + RoundUp(slots.back().shape.elements());
  by_name_[name] = {buffer, slots.size()};
  slots.push_back({std::move(name), shape, offset});
}

template <typename T>
absl::Status TensorStore<T>::CheckSlots(const Graph& graph) const {
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    for (const TensorSlot& slot : *slots) {
      const auto step = steps_.find(slot.name);
      if (step != steps_.end()) {
        if (FindStep(graph, step->second.node, step->second.operand) != nullptr) continue;
        return absl::NotFoundError(absl::StrCat("the graph has no learned step '", slot.name, "'"));
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
absl::Status TensorStore<T>::LoadFrom(const Graph& graph) {
  MASE_RETURN_IF_ERROR(CheckSlots(graph));
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    T* base = (slots == &buffer_slots_ ? buffers_ : parameters_).data();
    for (const TensorSlot& slot : *slots) {
      const auto step = steps_.find(slot.name);
      if (step == steps_.end()) {
        MASE_RETURN_IF_ERROR(Read(*graph.FindTensor(slot.name), base + slot.offset));
        continue;
      }
      const LsqFormat* lsq = FindStep(graph, step->second.node, step->second.operand);
      base[slot.offset] = lsq->has_scale() ? lsq->scale() : 1;
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status TensorStore<T>::StoreTo(Graph& graph) const {
  MASE_RETURN_IF_ERROR(CheckSlots(graph));
  for (const auto* slots : {&parameter_slots_, &buffer_slots_}) {
    const T* base = (slots == &buffer_slots_ ? buffers_ : parameters_).data();
    for (const TensorSlot& slot : *slots) {
      const auto step = steps_.find(slot.name);
      if (step == steps_.end()) {
        Write(base + slot.offset, graph.MutableTensor(slot.name));
      } else {
        SetStep(step->second.node, step->second.operand, static_cast<float>(base[slot.offset]),
                graph);
      }
    }
  }
  return absl::OkStatus();
}

template <typename T>
typename TensorStore<T>::Place TensorStore<T>::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end()) << "no tensor " << name;
  const auto [buffer, slot] = found->second;
  if (buffer) {
    const TensorSlot& place = buffer_slots_[slot];
    return {buffers_.data() + place.offset, nullptr, true, place.shape};
  }
  const auto& [unused, shape, offset] = parameter_slots_[slot];
  return {parameters_.data() + offset,
          gradients_.data() == nullptr ? nullptr : gradients_.data() + offset, false, shape};
}

template <typename T>
void TensorStore<T>::AllocateGradients() {
  if (gradients_.data() == nullptr) gradients_ = AlignedArray<T>(parameters_.size());
}

template class TensorStore<float>;
template class TensorStore<double>;

}  // namespace mase
