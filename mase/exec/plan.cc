#include "mase/exec/plan.h"

#include <algorithm>

#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

// A step's own stream of random numbers.
uint64_t StepSeed(uint64_t seed, size_t step) { return (seed + step) * 0xD1342543DE82EF95u; }

}  // namespace

template <typename T>
absl::Status Plan<T>::Prepare(uint64_t seed) {
  for (size_t i = 0; i < prepare_.size(); ++i) {
    prepare_[i].forward.seed = StepSeed(~seed, i);
    absl::Status status = prepare_[i].kernel->Forward(prepare_[i].forward);
    if (!status.ok()) return Annotate(status, prepare_[i].name);
  }
  for (Step& step : steps_) {
    if (step.kernel->prepared_elements() == 0) continue;
    absl::Status status = step.kernel->Prepare(step.forward.tensors, step.forward.prepared);
    if (!status.ok()) return Annotate(status, step.name);
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Plan<T>::Forward(absl::Span<const T* const> inputs, uint64_t seed) {
  for (const InputUse& use : input_uses_) *use.pointer = inputs[use.input];
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].forward.seed = StepSeed(seed, i);
    absl::Status status = steps_[i].kernel->Forward(steps_[i].forward);
    if (!status.ok()) return Annotate(status, steps_[i].name);
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Plan<T>::RunBackward(Step& step) {
  if (!step.runs_backward) return absl::OkStatus();
  absl::Status status = step.kernel->Backward(step.backward);
  if (!status.ok()) return Annotate(status, step.name);
  for (const auto& addition : step.additions) {
    for (int64_t i = 0; i < addition.elements; ++i) addition.to[i] += addition.from[i];
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Plan<T>::Backward(absl::Span<const T* const> diff_outputs) {
  for (const Seed& seed : seeds_) {
    const T* from = diff_outputs[seed.output];
    if (seed.add) {
      for (int64_t i = 0; i < seed.elements; ++i) seed.to[i] += from[i];
    } else {
      std::copy_n(from, seed.elements, seed.to);
    }
  }
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    MASE_RETURN_IF_ERROR(RunBackward(*step));
  }
  for (auto step = prepare_.rbegin(); step != prepare_.rend(); ++step) {
    MASE_RETURN_IF_ERROR(RunBackward(*step));
  }
  return absl::OkStatus();
}

template class Plan<float>;
template class Plan<double>;

}  // namespace mase
