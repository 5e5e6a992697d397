// The second half of planning: what Backward runs and writes, when each buffer is in use, where it
// lies.
#include <algorithm>
#include <limits>
#include <utility>

#include "mase/base/status_macros.h"
#include "mase/exec/arena.h"
#include "mase/exec/plan.h"
#include "mase/exec/plan_draft.h"

namespace mase {
namespace {

// The end of time: buffers that live from call to call.
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

bool IsBatchNorm(absl::string_view op) {
  return op == "batch_norm1d" || op == "batch_norm2d" || op == "batch_norm_relu";
}

bool HasBias(absl::string_view op) { return op == "linear" || op == "conv1d" || op == "conv2d"; }

}  // namespace

template <typename T>
class PlanBuilder {
 public:
  explicit PlanBuilder(PlanDraft<T> draft)
      : draft_(std::move(draft)),
        plan_(new Plan<T>),
        values_(draft_.values.size()),
        prepare_(draft_.prepare.size()),
        steps_(draft_.steps.size()) {}

  std::unique_ptr<Plan<T>> Build(ExecutionMode mode) {
    FindReaders();
    if (mode == ExecutionMode::kTraining) PlanBackward();
    FindWhatBackwardReads();
    ShareInPlace();
    PlaceBuffers();
    Resolve();
    return std::move(plan_);
  }

 private:
  using DraftValue = typename PlanDraft<T>::Value;
  using DraftStep = typename PlanDraft<T>::Step;
  using Step = typename Plan<T>::Step;

  struct ValueUse {
    bool has_diff = false;  // Somebody writes its gradient.
    int buffer = -1, diff_buffer = -1;
    // Forward steps that read it, and the last time that Backward does.
    int readers = 0, last_reader = -1;
    int64_t kept_until = -1;
  };

  // A gradient that a step writes. If another step has written there before, it goes to a buffer
  // of its own first and is added.
  struct DiffUse {
    bool wanted = false;
    int temp = -1;
  };

  struct StepUse {
    bool runs_backward = false;
    std::vector<DiffUse> src_diffs, tensor_diffs;
    int prepared = -1, workspace = -1, scratch = -1, backward_scratch = -1;
  };

  // ---- Backward ----

  void PlanBackward() {
    for (size_t i = 0; i < draft_.outputs.size(); ++i) {
      const int id = draft_.outputs[i].value;
      if (!draft_.values[id].needs_gradient) continue;
      seeds_.push_back({id, static_cast<int>(i), values_[id].has_diff});
      values_[id].has_diff = true;
    }
    for (size_t i = draft_.steps.size(); i-- > 0;) PlanStepBackward(draft_.steps[i], steps_[i]);
    for (size_t i = draft_.prepare.size(); i-- > 0;) {
      PlanStepBackward(draft_.prepare[i], prepare_[i]);
    }
  }

  void PlanStepBackward(const DraftStep& draft, StepUse& use) {
    use.runs_backward = values_[draft.dst].has_diff && draft_.values[draft.dst].needs_gradient;
    use.src_diffs.resize(draft.srcs.size());
    use.tensor_diffs.resize(draft.tensors.size());
    if (!use.runs_backward) return;
    for (size_t i = 0; i < draft.srcs.size(); ++i) use.src_diffs[i] = Want(draft.srcs[i]);
    for (size_t i = 0; i < draft.tensors.size(); ++i) {
      if (i == 1 && BiasIsLost(draft)) continue;  // Tensors are (weight, bias) there.
      use.tensor_diffs[i] = Want(draft.tensors[i]);
    }
  }

  DiffUse Want(int id) {
    if (!draft_.values[id].needs_gradient) return {};
    DiffUse diff = {.wanted = true};
    if (values_[id].has_diff) diff.temp = AddBuffer(Elements(id));
    values_[id].has_diff = true;
    return diff;
  }

  // A batch norm takes the mean out, and with it the bias: its gradient is zero.
  bool BiasIsLost(const DraftStep& draft) const {
    const ValueUse& dst = values_[draft.dst];
    return HasBias(draft.op) && dst.readers == 1 && !draft_.values[draft.dst].is_output &&
           IsBatchNorm(draft_.steps[dst.last_reader].op);
  }

  // ---- Lifetimes. Step i runs forward at time i and backward at time 2 n - i. ----

  int64_t step_count() const { return static_cast<int64_t>(draft_.steps.size()); }
  int64_t BackwardTime(int64_t step) const { return 2 * step_count() - step; }

  int AddBuffer(int64_t elements) {
    lifetimes_.push_back({kForever, -1, elements});
    return static_cast<int>(lifetimes_.size()) - 1;
  }

  void Use(int buffer, int64_t time) {
    lifetimes_[buffer].first = std::min(lifetimes_[buffer].first, time);
    lifetimes_[buffer].last = std::max(lifetimes_[buffer].last, time);
  }

  void FindReaders() {
    for (size_t i = 0; i < draft_.steps.size(); ++i) {
      for (const int src : draft_.steps[i].srcs) {
        ++values_[src].readers;
        values_[src].last_reader = static_cast<int>(i);
      }
    }
  }

  void FindWhatBackwardReads() {
    for (int64_t i = 0; i < step_count(); ++i) {
      if (!steps_[i].runs_backward) continue;
      const DraftStep& draft = draft_.steps[i];
      if (draft.kernel->reads_dst()) Keep(draft.dst, BackwardTime(i));
      if (!draft.kernel->reads_src()) continue;
      for (const int src : draft.srcs) Keep(src, BackwardTime(i));
    }
  }

  void Keep(int id, int64_t time) {
    values_[id].kept_until = std::max(values_[id].kept_until, time);
  }

  // A result takes its first input's place where nobody needs the input any more.
  void ShareInPlace() {
    for (int64_t i = 0; i < step_count(); ++i) {
      const DraftStep& draft = draft_.steps[i];
      const int src = draft.srcs[0];
      const DraftValue &from = draft_.values[src], &to = draft_.values[draft.dst];
      const bool shares = draft.kernel->in_place() && from.home == DraftValue::Home::kArena &&
                          !from.persistent && !from.is_output && values_[src].last_reader == i &&
                          values_[src].kept_until < 0 && from.desc.layout == to.desc.layout &&
                          from.desc.elements() == to.desc.elements();
      values_[draft.dst].buffer = shares ? values_[src].buffer : AddBuffer(Elements(draft.dst));
    }
  }

  void PlaceBuffers() {
    for (int64_t i = 0; i < step_count(); ++i) PlaceStep(draft_.steps[i], steps_[i], i);
    for (size_t i = 0; i < draft_.prepare.size(); ++i) {
      const int dst = draft_.prepare[i].dst;
      values_[dst].buffer = AddBuffer(Elements(dst));
      PlaceStep(draft_.prepare[i], prepare_[i], -1);
    }
    for (const OutputSeed& seed : seeds_) Use(values_[seed.value].diff_buffer, step_count());
    layout_ = PackArena(lifetimes_);
    plan_->arena_ = AlignedArray<T>(layout_.elements);
  }

  // `time` is -1 for steps of `prepare`, whose buffers live for ever.
  void PlaceStep(const DraftStep& draft, StepUse& use, int64_t time) {
    const bool forever = time < 0;
    const int64_t back = forever ? kForever : BackwardTime(time);
    const Kernel<T>& kernel = *draft.kernel;
    const ValueUse& dst = values_[draft.dst];
    Use(dst.buffer, time);
    if (draft_.values[draft.dst].is_output || forever) Use(dst.buffer, kForever);
    if (dst.last_reader >= 0) Use(dst.buffer, dst.last_reader);
    if (dst.kept_until >= 0) Use(dst.buffer, dst.kept_until);
    if (kernel.prepared_elements() > 0) {
      use.prepared = AddBuffer(kernel.prepared_elements());
      Use(use.prepared, -1);
      Use(use.prepared, kForever);
    }
    if (kernel.workspace_elements() > 0) {
      Use(use.workspace = AddBuffer(kernel.workspace_elements()), time);
      if (use.runs_backward) Use(use.workspace, back);
    }
    if (kernel.scratch_elements() > 0) {
      Use(use.scratch = AddBuffer(kernel.scratch_elements()), time);
      if (use.runs_backward) {
        Use(use.backward_scratch = AddBuffer(kernel.scratch_elements()), back);
      }
    }
    if (!use.runs_backward) return;
    UseDiff(draft.dst, back);
    const auto place_diffs = [&](const std::vector<int>& ids, const std::vector<DiffUse>& diffs) {
      for (size_t i = 0; i < ids.size(); ++i) {
        if (diffs[i].wanted) UseDiff(ids[i], back);
        if (diffs[i].temp >= 0) Use(diffs[i].temp, back);
      }
    };
    place_diffs(draft.srcs, use.src_diffs);
    place_diffs(draft.tensors, use.tensor_diffs);
  }

  void UseDiff(int id, int64_t time) {
    if (draft_.values[id].home == DraftValue::Home::kStore) return;
    if (values_[id].diff_buffer < 0) values_[id].diff_buffer = AddBuffer(Elements(id));
    Use(values_[id].diff_buffer, time);
  }

  // ---- Pointers ----

  T* Pointer(int buffer) const {
    return buffer < 0 ? nullptr : plan_->arena_.data() + layout_.offsets[buffer];
  }
  T* Data(int id) const {
    const DraftValue& value = draft_.values[id];
    return value.home == DraftValue::Home::kStore ? value.place.data : Pointer(values_[id].buffer);
  }
  T* Diff(int id) const {
    const DraftValue& value = draft_.values[id];
    return value.home == DraftValue::Home::kStore ? value.place.gradient
                                                  : Pointer(values_[id].diff_buffer);
  }
  // Has `pointer` set at each call if the value is an input.
  void FollowInput(int id, const T** pointer) {
    if (draft_.values[id].home != DraftValue::Home::kInput) return;
    plan_->input_uses_.push_back({pointer, draft_.values[id].input});
  }

  void Resolve() {
    const auto resolve = [&](std::vector<DraftStep>& drafts, const std::vector<StepUse>& uses,
                             std::vector<Step>* steps) {
      steps->resize(drafts.size());
      for (size_t i = 0; i < drafts.size(); ++i) ResolveStep(drafts[i], uses[i], (*steps)[i]);
    };
    resolve(draft_.prepare, prepare_, &plan_->prepare_);
    resolve(draft_.steps, steps_, &plan_->steps_);
    for (size_t i = 0; i < plan_->steps_.size(); ++i) {
      const int64_t elements = plan_->steps_[i].kernel->prepared_elements();
      if (elements > 0) plan_->preparations_.push_back(i);
      plan_->prepared_elements_ += elements;
    }
    ResolveResults(draft_.outputs, &plan_->outputs_);
    ResolveResults(draft_.nodes, &plan_->node_values_);
    for (const OutputSeed& seed : seeds_) {
      plan_->seeds_.push_back({Diff(seed.value), Elements(seed.value), seed.output, seed.add});
    }
  }

  void ResolveResults(const std::vector<typename PlanDraft<T>::Named>& named,
                      std::vector<typename Plan<T>::Result>* results) {
    results->resize(named.size());
    for (size_t i = 0; i < named.size(); ++i) {
      if (named[i].value < 0) continue;
      (*results)[i] = {Data(named[i].value), named[i].shape};
      FollowInput(named[i].value, &(*results)[i].data);
    }
  }

  void ResolveStep(DraftStep& draft, const StepUse& use, Step& step) {
    step.name = std::move(draft.name);
    step.stream = draft.stream;
    step.kernel = std::move(draft.kernel);
    for (const int src : draft.srcs) step.srcs.push_back(Data(src));
    for (size_t i = 0; i < draft.srcs.size(); ++i) FollowInput(draft.srcs[i], &step.srcs[i]);
    for (const int tensor : draft.tensors) step.tensors.push_back(Data(tensor));
    step.forward = {.srcs = step.srcs.data(),
                    .tensors = step.tensors.data(),
                    .dst = Data(draft.dst),
                    .prepared = Pointer(use.prepared),
                    .workspace = Pointer(use.workspace),
                    .scratch = Pointer(use.scratch)};
    step.runs_backward = use.runs_backward;
    if (!step.runs_backward) return;
    step.diff_srcs = ResolveDiffs(draft.srcs, use.src_diffs, step);
    step.diff_tensors = ResolveDiffs(draft.tensors, use.tensor_diffs, step);
    step.backward = {.srcs = step.srcs.data(),
                     .tensors = step.tensors.data(),
                     .dst = Data(draft.dst),
                     .prepared = step.forward.prepared,
                     .workspace = step.forward.workspace,
                     .scratch = Pointer(use.backward_scratch),
                     .diff_dst = Diff(draft.dst),
                     .diff_srcs = step.diff_srcs.data(),
                     .diff_tensors = step.diff_tensors.data()};
  }

  std::vector<T*> ResolveDiffs(const std::vector<int>& ids, const std::vector<DiffUse>& diffs,
                               Step& step) const {
    std::vector<T*> pointers(ids.size(), nullptr);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!diffs[i].wanted) continue;
      pointers[i] = Diff(ids[i]);
      if (diffs[i].temp < 0) continue;
      step.additions.push_back({Pointer(diffs[i].temp), pointers[i], Elements(ids[i])});
      pointers[i] = Pointer(diffs[i].temp);
    }
    return pointers;
  }

  int64_t Elements(int id) const { return draft_.values[id].desc.elements(); }

  // A graph output's gradient, where Backward starts.
  struct OutputSeed {
    int value, output;
    bool add;
  };

  PlanDraft<T> draft_;
  std::unique_ptr<Plan<T>> plan_;
  std::vector<ValueUse> values_;          // As draft_.values.
  std::vector<StepUse> prepare_, steps_;  // As draft_.prepare and draft_.steps.
  std::vector<OutputSeed> seeds_;
  std::vector<Lifetime> lifetimes_;
  ArenaLayout layout_;
};

template <typename T>
absl::StatusOr<std::unique_ptr<Plan<T>>> Plan<T>::Build(const Graph& graph, ExecutionMode mode,
                                                        int64_t rows,
                                                        const ExecutorOptions& options,
                                                        const TensorStore<T>& store) {
  MASE_ASSIGN_OR_RETURN(PlanDraft<T> draft, DraftPlan(graph, mode, rows, options, store));
  return PlanBuilder<T>(std::move(draft)).Build(mode);
}

template absl::StatusOr<std::unique_ptr<Plan<float>>> Plan<float>::Build(const Graph&,
                                                                         ExecutionMode, int64_t,
                                                                         const ExecutorOptions&,
                                                                         const TensorStore<float>&);
template absl::StatusOr<std::unique_ptr<Plan<double>>> Plan<double>::Build(
    const Graph&, ExecutionMode, int64_t, const ExecutorOptions&, const TensorStore<double>&);

}  // namespace mase
