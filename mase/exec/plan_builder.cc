#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/arena.h"
#include "mase/exec/fusion.h"
#include "mase/exec/plan.h"
#include "mase/exec/simulate.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

// The end of time: buffers that live from call to call.
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

constexpr uint64_t kStreamsPerNode = 16;

bool IsBatchNorm(absl::string_view op) {
  return op == "batch_norm1d" || op == "batch_norm2d" || op == "batch_norm_relu";
}

bool HasBias(absl::string_view op) { return op == "linear" || op == "conv1d" || op == "conv2d"; }

}  // namespace

// Builds in four walks over the steps: draft them in graph order (values, kernels), find what
// Backward runs and writes, find when each buffer is in use, and turn buffers into pointers.
template <typename T>
class PlanBuilder {
 public:
  PlanBuilder(const Graph& graph, ExecutionMode mode, int64_t rows, const ExecutorOptions& options,
              const TensorStore<T>& store)
      : graph_(graph),
        mode_(mode),
        training_(mode == ExecutionMode::kTraining),
        rows_(rows),
        options_(options),
        store_(store),
        plan_(new Plan<T>) {}

  absl::StatusOr<std::unique_ptr<Plan<T>>> Build() {
    MASE_ASSIGN_OR_RETURN(shapes_, InferShapesFor(graph_, rows_));
    ids_.assign(graph_.id_limit(), -1);
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (absl::Status status = AddNode(*node); !status.ok()) return Annotate(status, Label(*node));
    }
    if (options_.keep_values) KeepValues();
    if (training_) PlanBackward();
    FindUses();
    ShareInPlace();
    PlaceBuffers();
    Resolve();
    return std::move(plan_);
  }

 private:
  enum class Home { kInput, kArena, kStore };

  // A tensor: an input, a result, or a parameter. Results of ops that only rename have none of
  // their own.
  struct PlanValue {
    TensorDesc desc;
    Home home = Home::kArena;
    int input = -1;                  // For kInput.
    typename TensorStore<T>::Place place = {};  // For kStore.
    bool needs_gradient = false;
    bool persistent = false;  // Made in `prepare`.
    bool is_output = false;
    int producer = -1;  // Step, in `steps` or, if persistent, in `prepare`.

    bool has_diff = false;
    int buffer = -1, diff_buffer = -1;
    // Forward steps that read it, and the last time that Backward does.
    int readers = 0, last_reader = -1;
    int64_t kept_until = -1;
  };

  struct Draft {
    absl::string_view op;
    std::vector<int> srcs, tensors;
    int dst = -1;
    std::vector<bool> wants_src, wants_tensor;  // Gradients to write, ...
    std::vector<int> src_temps, tensor_temps;   // ... and the buffer beside their place, or -1.
    int prepared = -1, workspace = -1, scratch = -1, backward_scratch = -1;
  };

  using Step = typename Plan<T>::Step;

  static std::string Label(const Node& node) {
    return absl::StrCat(node.name(), " (", node.op(), ")");
  }

  // ---- Drafting ----

  absl::Status AddNode(const Node& node) {
    rounds_ = 0;
    if (node.kind() == NodeKind::kPlaceholder) return AddInput(node);
    if (node.kind() == NodeKind::kOutput) return AddOutputs(node);
    if (node.op() == "size") return absl::OkStatus();  // Shapes know it.
    if (ids_[node.id()] >= 0) return absl::OkStatus();  // Fused into the one before.
    if (IsAliasOp(node.op(), training_)) {
      MASE_ASSIGN_OR_RETURN(int src, Source(node, 0));
      src = InLayout(node, src, Layout::kPlain);
      SetResult(node, src);
      return absl::OkStatus();
    }
    std::vector<int> srcs(node.inputs().size());
    for (size_t i = 0; i < srcs.size(); ++i) {
      MASE_ASSIGN_OR_RETURN(srcs[i], Source(node, static_cast<int>(i)));
      const absl::string_view operand = InputOperand(node, static_cast<int>(i));
      MASE_ASSIGN_OR_RETURN(srcs[i], Round(node, operand, srcs[i], ShapeOf(node.inputs()[i])));
    }
    const Fusion fusion = FindFusion(node, mode_, options_, HasKernel<T>("conv_batch_norm"));
    std::vector<int> tensors;
    KernelSpec spec = {.op = fusion.op, .attributes = &fusion.attributes, .training = training_};
    MASE_RETURN_IF_ERROR(AddTensors(node, "", &tensors, &spec));
    if (fusion.norm != nullptr) {
      MASE_RETURN_IF_ERROR(AddTensors(*fusion.norm, "norm.", &tensors, &spec));
    }
    for (size_t i = 0; i < srcs.size(); ++i) {
      spec.srcs.push_back({ShapeOf(node.inputs()[i]), values_[srcs[i]].desc.layout});
    }
    spec.dst = ShapeOf(fusion.last->outputs()[0]);
    MASE_ASSIGN_OR_RETURN(std::unique_ptr<Kernel<T>> kernel, CreateKernel<T>(spec));
    for (size_t i = 0; i < srcs.size(); ++i) {
      srcs[i] = InLayout(node, srcs[i], kernel->src_layout(static_cast<int>(i)));
    }
    int dst = AddStep(node, spec.op, std::move(kernel), std::move(srcs), std::move(tensors),
                      spec.dst);
    MASE_ASSIGN_OR_RETURN(dst, Round(node, "data_out", dst, spec.dst));
    for (const Node* fused = &node; fused != fusion.last; fused = fused->outputs()[0]->uses()[0].node) {
      SetResult(*fused, dst);
    }
    SetResult(*fusion.last, dst);
    return absl::OkStatus();
  }

  absl::Status AddTensors(const Node& node, absl::string_view prefix, std::vector<int>* tensors,
                          KernelSpec* spec) {
    for (const Parameter& parameter : node.parameters()) {
      MASE_ASSIGN_OR_RETURN(int tensor, ModuleTensor(node, parameter));
      tensors->push_back(tensor);
      spec->tensors.push_back(absl::StrCat(prefix, parameter.name));
    }
    return absl::OkStatus();
  }

  absl::Status AddInput(const Node& node) {
    const ValueInfo& info = shapes_.info(node.outputs()[0]);
    if (info.dtype != DType::kFloat32) {
      return absl::UnimplementedError(
          absl::StrCat("inputs of type ", DTypeName(info.dtype), "; only float32 runs"));
    }
    PlanValue value;
    value.desc.shape = info.shape;
    value.home = Home::kInput;
    value.input = input_count_++;
    values_.push_back(std::move(value));
    SetResult(node, static_cast<int>(values_.size()) - 1);
    return absl::OkStatus();
  }

  absl::Status AddOutputs(const Node& node) {
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      MASE_ASSIGN_OR_RETURN(int src, Source(node, static_cast<int>(i)));
      src = InLayout(node, src, Layout::kPlain);
      values_[src].is_output = true;
      output_ids_.push_back(src);
      plan_->outputs_.push_back({nullptr, ShapeOf(node.inputs()[i])});
    }
    return absl::OkStatus();
  }

  const Shape& ShapeOf(const Value* value) const { return shapes_.shape(value); }

  void SetResult(const Node& node, int value) { ids_[node.id()] = value; }

  // Gives every value a plain form that stays until the next call.
  void KeepValues() {
    kept_ids_.assign(ids_.size(), -1);
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (ids_[node->id()] < 0) continue;
      const int id = InLayout(*node, ids_[node->id()], Layout::kPlain);
      values_[id].is_output = true;
      kept_ids_[node->id()] = id;
    }
  }

  absl::StatusOr<int> Source(const Node& node, int input) const {
    const Value* value = node.inputs()[input];
    const int id = ids_[value->producer()->id()];
    if (id < 0) {
      return absl::UnimplementedError(
          absl::StrCat("reads '", value->name(), "', which is no float tensor"));
    }
    return id;
  }

  // The node's tensor, rounded if the record says so.
  absl::StatusOr<int> ModuleTensor(const Node& node, const Parameter& parameter) {
    auto [entry, is_new] = tensor_ids_.try_emplace(parameter.tensor, static_cast<int>(values_.size()));
    const Shape& shape = graph_.FindTensor(parameter.tensor)->value.shape();
    const int id = entry->second;
    if (is_new) {
      PlanValue value;
      value.desc.shape = shape;
      value.home = Home::kStore;
      value.place = store_.Find(parameter.tensor);
      value.needs_gradient = training_ && !value.place.buffer;
      values_.push_back(std::move(value));
    }
    // Statistics that training moves are the stored ones.
    if (training_ && values_[id].place.buffer) return id;
    const FormatProto* any = FindFormat(node, "data_in");
    const bool reference = any != nullptr && any->semantics() == FormatProto::REFERENCE;
    return Round(node, TensorOperand(node, parameter.name, reference), id, shape);
  }

  absl::StatusOr<int> Round(const Node& node, absl::string_view operand, int src,
                            const Shape& shape) {
    const FormatProto* format =
        options_.simulate_quantization && !operand.empty() ? FindFormat(node, operand) : nullptr;
    if (format == nullptr) return src;
    src = InLayout(node, src, Layout::kPlain);
    auto kernel = MakeQuantizeKernel<T>(Simulated(node, operand, *format, shape));
    if (!kernel.ok()) return Annotate(kernel.status(), operand);
    const int dst = AddStep(node, "quantize", *std::move(kernel), {src}, {}, shape);
    // Every operand that the node rounds has a stream of its own, behind the op's.
    const PlanValue& rounded = values_[dst];
    (rounded.persistent ? plan_->prepare_ : plan_->steps_)[rounded.producer].stream += ++rounds_;
    return dst;
  }

  int InLayout(const Node& node, int src, Layout layout) {
    if (values_[src].desc.layout == layout) return src;
    const std::pair<int, Layout> key(src, layout);
    if (const auto found = reordered_.find(key); found != reordered_.end()) return found->second;
    const TensorDesc from = values_[src].desc;
    const int dst =
        AddStep(node, "reorder", MakeReorderKernel<T>(from, layout), {src}, {}, from.shape);
    reordered_.emplace(key, dst);
    return dst;
  }

  // Appends a step and returns its result. One that reads nothing but stored tensors goes to
  // `prepare`.
  int AddStep(const Node& node, absl::string_view op, std::unique_ptr<Kernel<T>> kernel,
              std::vector<int> srcs, std::vector<int> tensors, const Shape& dst) {
    PlanValue value;
    value.desc = {dst, kernel->dst_layout()};
    value.persistent = true;
    for (const int src : srcs) {
      value.persistent &= values_[src].home == Home::kStore || values_[src].persistent;
      value.needs_gradient |= values_[src].needs_gradient;
    }
    for (const int tensor : tensors) value.needs_gradient |= values_[tensor].needs_gradient;
    std::vector<Draft>& drafts = value.persistent ? prepare_drafts_ : drafts_;
    std::vector<Step>& steps = value.persistent ? plan_->prepare_ : plan_->steps_;
    value.producer = static_cast<int>(steps.size());
    Draft draft;
    draft.op = op;
    draft.srcs = std::move(srcs);
    draft.tensors = std::move(tensors);
    draft.dst = static_cast<int>(values_.size());
    Step step;
    step.name = Label(node);
    step.stream = static_cast<uint64_t>(node.id()) * kStreamsPerNode;
    step.kernel = std::move(kernel);
    drafts.push_back(std::move(draft));
    steps.push_back(std::move(step));
    values_.push_back(std::move(value));
    return static_cast<int>(values_.size()) - 1;
  }

  // ---- Backward ----

  void PlanBackward() {
    for (size_t i = 0; i < output_ids_.size(); ++i) {
      PlanValue& value = values_[output_ids_[i]];
      if (!value.needs_gradient) continue;
      seeds_.push_back({output_ids_[i], static_cast<int>(i), value.has_diff});
      value.has_diff = true;
    }
    CountReaders();
    for (int i = static_cast<int>(drafts_.size()) - 1; i >= 0; --i) {
      PlanStepBackward(drafts_[i], plan_->steps_[i]);
    }
    for (int i = static_cast<int>(prepare_drafts_.size()) - 1; i >= 0; --i) {
      PlanStepBackward(prepare_drafts_[i], plan_->prepare_[i]);
    }
  }

  void CountReaders() {
    for (size_t i = 0; i < drafts_.size(); ++i) {
      for (const int src : drafts_[i].srcs) {
        ++values_[src].readers;
        values_[src].last_reader = static_cast<int>(i);
      }
    }
  }

  void PlanStepBackward(Draft& draft, Step& step) {
    const PlanValue& dst = values_[draft.dst];
    step.runs_backward = dst.has_diff && dst.needs_gradient;
    draft.wants_src.assign(draft.srcs.size(), false);
    draft.wants_tensor.assign(draft.tensors.size(), false);
    draft.src_temps.assign(draft.srcs.size(), -1);
    draft.tensor_temps.assign(draft.tensors.size(), -1);
    if (!step.runs_backward) return;
    for (size_t i = 0; i < draft.srcs.size(); ++i) {
      draft.wants_src[i] = Want(draft.srcs[i], &draft.src_temps[i]);
    }
    for (size_t i = 0; i < draft.tensors.size(); ++i) {
      if (i == 1 && BiasIsLost(draft)) continue;  // Tensors are (weight, bias) there.
      draft.wants_tensor[i] = Want(draft.tensors[i], &draft.tensor_temps[i]);
    }
  }

  // Whether the step's gradient by the value is wanted; if another one has been written before,
  // it goes to a buffer of its own first.
  bool Want(int id, int* temp) {
    PlanValue& value = values_[id];
    if (!value.needs_gradient) return false;
    if (value.has_diff) *temp = AddBuffer(value.desc.elements());
    value.has_diff = true;
    return true;
  }

  // A batch norm takes the mean out, and with it the bias: its gradient is zero.
  bool BiasIsLost(const Draft& draft) const {
    const PlanValue& dst = values_[draft.dst];
    return HasBias(draft.op) && dst.readers == 1 && !dst.is_output &&
           IsBatchNorm(drafts_[dst.last_reader].op);
  }

  // ---- Lifetimes. Step i runs forward at time i and backward at time 2 n - i. ----

  int64_t steps() const { return static_cast<int64_t>(drafts_.size()); }
  int64_t BackwardTime(int64_t step) const { return 2 * steps() - step; }

  int AddBuffer(int64_t elements) {
    lifetimes_.push_back({kForever, -1, elements});
    return static_cast<int>(lifetimes_.size()) - 1;
  }

  void Use(int buffer, int64_t time) {
    lifetimes_[buffer].first = std::min(lifetimes_[buffer].first, time);
    lifetimes_[buffer].last = std::max(lifetimes_[buffer].last, time);
  }
  void UseForever(int buffer) {
    Use(buffer, -1);
    Use(buffer, kForever);
  }

  void FindUses() {
    for (PlanValue& value : values_) value.readers = 0;
    CountReaders();
    for (int64_t i = 0; i < steps(); ++i) {
      const Step& step = plan_->steps_[i];
      if (!step.runs_backward) continue;
      if (step.kernel->reads_dst()) Keep(drafts_[i].dst, BackwardTime(i));
      if (!step.kernel->reads_src()) continue;
      for (const int src : drafts_[i].srcs) Keep(src, BackwardTime(i));
    }
  }

  void Keep(int id, int64_t time) {
    values_[id].kept_until = std::max(values_[id].kept_until, time);
  }

  // A result takes its first input's place where nobody needs the input any more.
  void ShareInPlace() {
    for (int64_t i = 0; i < steps(); ++i) {
      PlanValue& dst = values_[drafts_[i].dst];
      const PlanValue& src = values_[drafts_[i].srcs[0]];
      const bool shares = plan_->steps_[i].kernel->in_place() && src.home == Home::kArena &&
                          !src.persistent && !src.is_output && src.last_reader == i &&
                          src.kept_until < 0 && src.desc.layout == dst.desc.layout &&
                          src.desc.elements() == dst.desc.elements();
      dst.buffer = shares ? src.buffer : AddBuffer(dst.desc.elements());
    }
  }

  void PlaceBuffers() {
    for (int64_t i = 0; i < steps(); ++i) PlaceStep(drafts_[i], plan_->steps_[i], i);
    for (size_t i = 0; i < prepare_drafts_.size(); ++i) {
      values_[prepare_drafts_[i].dst].buffer =
          AddBuffer(values_[prepare_drafts_[i].dst].desc.elements());
      PlaceStep(prepare_drafts_[i], plan_->prepare_[i], -1);
    }
    for (const OutputSeed& seed : seeds_) Use(values_[seed.value].diff_buffer, steps());
    layout_ = PackArena(lifetimes_);
    plan_->arena_ = AlignedArray<T>(layout_.elements);
  }

  // `time` is -1 for steps of `prepare`, whose buffers live for ever.
  void PlaceStep(Draft& draft, const Step& step, int64_t time) {
    const bool forever = time < 0;
    const int64_t back = forever ? kForever : BackwardTime(time);
    const Kernel<T>& kernel = *step.kernel;
    const PlanValue& dst = values_[draft.dst];
    Use(dst.buffer, time);
    if (dst.is_output || forever) Use(dst.buffer, kForever);
    if (dst.last_reader >= 0) Use(dst.buffer, dst.last_reader);
    if (dst.kept_until >= 0) Use(dst.buffer, dst.kept_until);
    if (kernel.prepared_elements() > 0) {
      UseForever(draft.prepared = AddBuffer(kernel.prepared_elements()));
    }
    if (kernel.workspace_elements() > 0) {
      Use(draft.workspace = AddBuffer(kernel.workspace_elements()), time);
      if (step.runs_backward) Use(draft.workspace, back);
    }
    if (kernel.scratch_elements() > 0) {
      Use(draft.scratch = AddBuffer(kernel.scratch_elements()), time);
      if (step.runs_backward) {
        Use(draft.backward_scratch = AddBuffer(kernel.scratch_elements()), back);
      }
    }
    if (!step.runs_backward) return;
    UseDiff(draft.dst, back);
    for (size_t i = 0; i < draft.srcs.size(); ++i) {
      if (draft.wants_src[i]) UseDiff(draft.srcs[i], back);
      if (draft.src_temps[i] >= 0) Use(draft.src_temps[i], back);
    }
    for (size_t i = 0; i < draft.tensors.size(); ++i) {
      if (draft.wants_tensor[i]) UseDiff(draft.tensors[i], back);
      if (draft.tensor_temps[i] >= 0) Use(draft.tensor_temps[i], back);
    }
  }

  void UseDiff(int id, int64_t time) {
    PlanValue& value = values_[id];
    if (value.home == Home::kStore) return;
    if (value.diff_buffer < 0) value.diff_buffer = AddBuffer(value.desc.elements());
    Use(value.diff_buffer, time);
  }

  // ---- Pointers ----

  T* Pointer(int buffer) const {
    return buffer < 0 ? nullptr : plan_->arena_.data() + layout_.offsets[buffer];
  }
  T* Data(int id) const {
    const PlanValue& value = values_[id];
    return value.home == Home::kStore ? value.place.data : Pointer(value.buffer);
  }
  T* Diff(int id) const {
    const PlanValue& value = values_[id];
    return value.home == Home::kStore ? value.place.gradient : Pointer(value.diff_buffer);
  }

  void Resolve() {
    for (size_t i = 0; i < drafts_.size(); ++i) ResolveStep(drafts_[i], plan_->steps_[i]);
    for (size_t i = 0; i < prepare_drafts_.size(); ++i) {
      ResolveStep(prepare_drafts_[i], plan_->prepare_[i]);
    }
    for (size_t i = 0; i < output_ids_.size(); ++i) {
      ResolveResult(output_ids_[i], &plan_->outputs_[i]);
    }
    for (const OutputSeed& seed : seeds_) {
      plan_->seeds_.push_back({Diff(seed.value), values_[seed.value].desc.elements(), seed.output,
                               seed.add});
    }
    if (!options_.keep_values) return;
    plan_->node_values_.resize(graph_.id_limit());
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (kept_ids_[node->id()] < 0) continue;
      plan_->node_values_[node->id()].shape = ShapeOf(node->outputs()[0]);
      ResolveResult(kept_ids_[node->id()], &plan_->node_values_[node->id()]);
    }
  }

  void ResolveResult(int id, typename Plan<T>::Result* result) {
    result->data = Data(id);
    if (values_[id].home == Home::kInput) {
      plan_->input_uses_.push_back({&result->data, values_[id].input});
    }
  }

  void ResolveStep(const Draft& draft, Step& step) {
    for (const int src : draft.srcs) step.srcs.push_back(Data(src));
    for (size_t i = 0; i < draft.srcs.size(); ++i) {
      const PlanValue& src = values_[draft.srcs[i]];
      if (src.home == Home::kInput) plan_->input_uses_.push_back({&step.srcs[i], src.input});
    }
    for (const int tensor : draft.tensors) step.tensors.push_back(Data(tensor));
    step.forward = {.srcs = step.srcs.data(),
                    .tensors = step.tensors.data(),
                    .dst = Data(draft.dst),
                    .prepared = Pointer(draft.prepared),
                    .workspace = Pointer(draft.workspace),
                    .scratch = Pointer(draft.scratch)};
    if (!step.runs_backward) return;
    const auto diffs = [&](const std::vector<int>& ids, const std::vector<bool>& wants,
                           const std::vector<int>& temps, std::vector<T*>* pointers) {
      for (size_t i = 0; i < ids.size(); ++i) {
        T* place = wants[i] ? Diff(ids[i]) : nullptr;
        T* temp = Pointer(temps[i]);
        pointers->push_back(temp != nullptr ? temp : place);
        if (temp != nullptr) {
          step.additions.push_back({temp, place, values_[ids[i]].desc.elements()});
        }
      }
    };
    diffs(draft.srcs, draft.wants_src, draft.src_temps, &step.diff_srcs);
    diffs(draft.tensors, draft.wants_tensor, draft.tensor_temps, &step.diff_tensors);
    step.backward = {.srcs = step.srcs.data(),
                     .tensors = step.tensors.data(),
                     .dst = Data(draft.dst),
                     .prepared = step.forward.prepared,
                     .workspace = step.forward.workspace,
                     .scratch = Pointer(draft.backward_scratch),
                     .diff_dst = Diff(draft.dst),
                     .diff_srcs = step.diff_srcs.data(),
                     .diff_tensors = step.diff_tensors.data()};
  }

  struct OutputSeed {
    int value, output;
    bool add;
  };

  const Graph& graph_;
  const ExecutionMode mode_;
  const bool training_;
  const int64_t rows_;
  const ExecutorOptions& options_;
  const TensorStore<T>& store_;

  std::unique_ptr<Plan<T>> plan_;
  InferredShapes shapes_;
  std::vector<PlanValue> values_;
  std::vector<Draft> drafts_, prepare_drafts_;  // As plan_->steps_ and plan_->prepare_.
  std::vector<int> ids_;                        // Value of a node's result, by node id.
  std::vector<int> kept_ids_;                   // Its plain form, with keep_values.
  std::vector<int> output_ids_;
  std::vector<OutputSeed> seeds_;
  absl::flat_hash_map<std::string, int> tensor_ids_;
  absl::flat_hash_map<std::pair<int, Layout>, int> reordered_;
  int input_count_ = 0;
  int rounds_ = 0;  // Operands that the node at hand has rounded so far.
  std::vector<Lifetime> lifetimes_;
  ArenaLayout layout_;
};

template <typename T>
absl::StatusOr<std::unique_ptr<Plan<T>>> Plan<T>::Build(const Graph& graph, ExecutionMode mode,
                                                        int64_t rows,
                                                        const ExecutorOptions& options,
                                                        const TensorStore<T>& store) {
  return PlanBuilder<T>(graph, mode, rows, options, store).Build();
}

template absl::StatusOr<std::unique_ptr<Plan<float>>> Plan<float>::Build(
    const Graph&, ExecutionMode, int64_t, const ExecutorOptions&, const TensorStore<float>&);
template absl::StatusOr<std::unique_ptr<Plan<double>>> Plan<double>::Build(
    const Graph&, ExecutionMode, int64_t, const ExecutorOptions&, const TensorStore<double>&);

}  // namespace mase
