#include "mase/exec/plan_draft.h"

#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/fusion.h"
#include "mase/exec/simulate.h"
#include "mase/format/lsq.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

constexpr uint64_t kStreamsPerNode = 16;

std::string Label(const Node& node) { return absl::StrCat(node.name(), " (", node.op(), ")"); }

template <typename T>
class Drafter {
 public:
  Drafter(const Graph& graph, ExecutionMode mode, const ExecutorOptions& options,
          const TensorStore<T>& store)
      : graph_(graph),
        mode_(mode),
        training_(mode == ExecutionMode::kTraining),
        options_(options),
        store_(store) {}

  absl::StatusOr<PlanDraft<T>> Draft(int64_t rows) {
    MASE_ASSIGN_OR_RETURN(shapes_, InferShapesFor(graph_, rows));
    ids_.assign(graph_.id_limit(), -1);
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (absl::Status status = AddNode(*node); !status.ok()) return Annotate(status, Label(*node));
    }
    if (options_.keep_values) KeepValues();
    return std::move(draft_);
  }

 private:
  using PlanValue = typename PlanDraft<T>::Value;
  using PlanStep = typename PlanDraft<T>::Step;

  absl::Status AddNode(const Node& node) {
    rounds_ = 0;
    if (node.kind() == NodeKind::kPlaceholder) return AddInput(node);
    if (node.kind() == NodeKind::kOutput) return AddOutputs(node);
    if (node.op() == "size") return absl::OkStatus();   // Shapes know it.
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
    Fusion fusion = FindFusion(node, mode_, options_, HasKernel<T>("conv_batch_norm"));
    if (options_.simulate_quantization && IsReference(node)) {
      fusion.attributes = EffectiveAttributes(node);
    }
    std::vector<int> tensors;
    KernelSpec spec = {.op = fusion.op,
                       .attributes = &fusion.attributes,
                       .training = training_,
                       .bfloat16 = options_.bfloat16 && std::is_same_v<T, float>};
    MASE_RETURN_IF_ERROR(AddTensors(node, "", &tensors, &spec));
    if (fusion.norm != nullptr) {
      MASE_RETURN_IF_ERROR(AddTensors(*fusion.norm, "norm.", &tensors, &spec));
    }
    for (size_t i = 0; i < srcs.size(); ++i) {
      spec.srcs.push_back({ShapeOf(node.inputs()[i]), draft_.values[srcs[i]].desc.layout});
    }
    spec.dst = ShapeOf(fusion.last->outputs()[0]);
    MASE_ASSIGN_OR_RETURN(std::unique_ptr<Kernel<T>> kernel, CreateKernel<T>(spec));
    for (size_t i = 0; i < srcs.size(); ++i) {
      srcs[i] = InLayout(node, srcs[i], kernel->src_layout(static_cast<int>(i)));
    }
    int dst =
        AddStep(node, spec.op, std::move(kernel), std::move(srcs), std::move(tensors), spec.dst);
    MASE_ASSIGN_OR_RETURN(dst, Round(node, "data_out", dst, spec.dst));
    for (const Node* fused = &node; fused != fusion.last;
         fused = fused->outputs()[0]->uses()[0].node) {
      SetResult(*fused, dst);
    }
    SetResult(*fusion.last, dst);
    return absl::OkStatus();
  }

  absl::Status AddTensors(const Node& node, absl::string_view prefix, std::vector<int>* tensors,
                          KernelSpec* spec) {
    for (const Parameter& parameter : node.parameters()) {
      if (options_.simulate_quantization && IgnoresTensor(node, parameter.name)) continue;
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
    value.home = PlanValue::Home::kInput;
    value.input = input_count_++;
    draft_.values.push_back(std::move(value));
    SetResult(node, static_cast<int>(draft_.values.size()) - 1);
    return absl::OkStatus();
  }

  absl::Status AddOutputs(const Node& node) {
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      MASE_ASSIGN_OR_RETURN(int src, Source(node, static_cast<int>(i)));
      src = InLayout(node, src, Layout::kPlain);
      draft_.values[src].is_output = true;
      draft_.outputs.push_back({src, ShapeOf(node.inputs()[i])});
    }
    return absl::OkStatus();
  }

  const Shape& ShapeOf(const Value* value) const { return shapes_.shape(value); }

  void SetResult(const Node& node, int value) { ids_[node.id()] = value; }

  // Gives every value a plain form that stays until the next call.
  void KeepValues() {
    draft_.nodes.resize(ids_.size());
    for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
      if (ids_[node->id()] < 0) continue;
      const int id = InLayout(*node, ids_[node->id()], Layout::kPlain);
      draft_.values[id].is_output = true;
      draft_.nodes[node->id()] = {id, ShapeOf(node->outputs()[0])};
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
    const int id = StoredTensor(parameter.tensor);
    const Shape shape = draft_.values[id].desc.shape;
    // Statistics that training moves are the stored ones.
    if (training_ && draft_.values[id].place.buffer) return id;
    return Round(node, TensorOperand(node, parameter.name, IsReference(node)), id, shape);
  }

  int StoredTensor(const std::string& name) {
    const auto [entry, is_new] =
        tensor_ids_.try_emplace(name, static_cast<int>(draft_.values.size()));
    if (is_new) {
      PlanValue value;
      value.place = store_.Find(name);
      value.desc.shape = value.place.shape;
      value.home = PlanValue::Home::kStore;
      value.needs_gradient = training_ && !value.place.buffer;
      draft_.values.push_back(std::move(value));
    }
    return entry->second;
  }

  absl::StatusOr<int> Round(const Node& node, absl::string_view operand, int src,
                            const Shape& shape) {
    const FormatProto* format =
        options_.simulate_quantization && !operand.empty() ? FindFormat(node, operand) : nullptr;
    if (format == nullptr) return src;
    src = InLayout(node, src, Layout::kPlain);
    auto kernel = MakeQuantizeKernel<T>(ViewOperand(node, operand, *format, shape, shapes_));
    if (!kernel.ok()) return Annotate(kernel.status(), operand);
    std::vector<int> tensors;
    if (HasLearnedStep(*format)) tensors.push_back(StoredTensor(LearnedStepSlot(node, operand)));
    const int dst = AddStep(node, "quantize", *std::move(kernel), {src}, std::move(tensors), shape);
    PlanStep& step = (draft_.values[dst].persistent ? draft_.prepare
                                                    : draft_.steps)[draft_.values[dst].producer];
    absl::StrAppend(&step.name, ": ", operand);
    // Every operand that the node rounds has a stream of its own, behind the op's.
    step.stream += ++rounds_;
    return dst;
  }

  int InLayout(const Node& node, int src, Layout layout) {
    if (draft_.values[src].desc.layout == layout) return src;
    const std::pair<int, Layout> key(src, layout);
    if (const auto found = reordered_.find(key); found != reordered_.end()) return found->second;
    const TensorDesc from = draft_.values[src].desc;
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
      value.persistent &=
          draft_.values[src].home == PlanValue::Home::kStore || draft_.values[src].persistent;
      value.needs_gradient |= draft_.values[src].needs_gradient;
    }
    for (const int tensor : tensors) value.needs_gradient |= draft_.values[tensor].needs_gradient;
    std::vector<PlanStep>& steps = value.persistent ? draft_.prepare : draft_.steps;
    value.producer = static_cast<int>(steps.size());
    const int id = static_cast<int>(draft_.values.size());
    steps.push_back({.op = std::string(op),
                     .name = Label(node),
                     .stream = static_cast<uint64_t>(node.id()) * kStreamsPerNode,
                     .kernel = std::move(kernel),
                     .srcs = std::move(srcs),
                     .tensors = std::move(tensors),
                     .dst = id});
    draft_.values.push_back(std::move(value));
    return id;
  }

  const Graph& graph_;
  const ExecutionMode mode_;
  const bool training_;
  const ExecutorOptions& options_;
  const TensorStore<T>& store_;

  PlanDraft<T> draft_;
  InferredShapes shapes_;
  std::vector<int> ids_;  // Value of a node's result, by node id.
  absl::flat_hash_map<std::string, int> tensor_ids_;
  absl::flat_hash_map<std::pair<int, Layout>, int> reordered_;
  int input_count_ = 0;
  int rounds_ = 0;  // Operands that the node at hand has rounded so far.
};

}  // namespace

template <typename T>
absl::StatusOr<PlanDraft<T>> DraftPlan(const Graph& graph, ExecutionMode mode, int64_t rows,
                                       const ExecutorOptions& options,
                                       const TensorStore<T>& store) {
  return Drafter<T>(graph, mode, options, store).Draft(rows);
}

template absl::StatusOr<PlanDraft<float>> DraftPlan(const Graph&, ExecutionMode, int64_t,
                                                    const ExecutorOptions&,
                                                    const TensorStore<float>&);
template absl::StatusOr<PlanDraft<double>> DraftPlan(const Graph&, ExecutionMode, int64_t,
                                                     const ExecutorOptions&,
                                                     const TensorStore<double>&);

}  // namespace mase
