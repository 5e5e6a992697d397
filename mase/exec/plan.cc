#include "mase/exec/plan.h"

#include <algorithm>

#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

// Numbers to prepare from which waking the threads takes no time.
constexpr int64_t kElementsWorthThreads = 1 << 18;

// The seed of a step's own stream.
uint64_t StepSeed(uint64_t seed, uint64_t stream) { return (seed + stream) * 0xD1342543DE82EF95u; }

}  // namespace

template <typename T>
absl::Status Plan<T>::RunForward(Step& step, uint64_t seed) {
  step.forward.seed = StepSeed(seed, step.stream);
  absl::Status status = step.kernel->Forward(step.forward);
  return status.ok() ? status : Annotate(status, step.name);
}

template <typename T>
absl::Status Plan<T>::Prepare(uint64_t seed) {
  for (Step& step : prepare_) MASE_RETURN_IF_ERROR(RunForward(step, seed));
    // Each writes to a place of its own. Those with large weights are few, so they go one by one.
#pragma omp parallel for schedule(dynamic) if (prepared_elements_ >= kElementsWorthThreads)
  for (size_t i = 0; i < preparations_.size(); ++i) {
    Step& step = steps_[preparations_[i]];
    step.prepare_status = step.kernel->Prepare(step.forward.tensors, step.forward.prepared);
  }
  for (const size_t i : preparations_) {
    const Step& step = steps_[i];
    if (!step.prepare_status.ok()) return Annotate(step.prepare_status, step.name);
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Plan<T>::Forward(absl::Span<const T* const> inputs, uint64_t seed) {
  for (const InputUse& use : input_uses_) *use.pointer = inputs[use.input];
  for (Step& step : steps_) MASE_RETURN_IF_ERROR(RunForward(step, seed));
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
