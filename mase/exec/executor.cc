#include "mase/exec/executor.h"

#include <list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/status_macros.h"
#include "mase/exec/plan.h"
#include "mase/exec/tensor_store.h"
#include "mase/format/format.h"
#include "mase/graph/verifier.h"
#include "mase/kernel/kernel.h"

namespace mase {
namespace {

// Plans kept: full and short batches of training and of evaluation, and some to spare.
constexpr size_t kMaxPlans = 6;

bool NeedsKernel(const Node& node) {
  return node.kind() != NodeKind::kPlaceholder && node.kind() != NodeKind::kOutput &&
         node.op() != "size" && !IsAliasOp(node.op(), /*training=*/false);
}

template <typename T>
absl::Status CheckNode(const Node& node) {
  if (NeedsKernel(node) && !HasKernel<T>(node.op())) {
    return absl::UnimplementedError(
        absl::StrCat(node.name(), ": there is no kernel for op '", node.op(), "'"));
  }
  if (node.quantization() == nullptr) return absl::OkStatus();
  for (const OperandFormat& operand : node.quantization()->operand()) {
    if (auto format = Format::Create(operand.format()); !format.ok()) {
      return absl::Status(format.status().code(),
                          absl::StrCat(node.name(), " (", node.op(), "): ", operand.operand(), ": ",
                                       format.status().message()));
    }
  }
  return absl::OkStatus();
}

uint64_t MixSeed(uint64_t seed, uint64_t step) {
  uint64_t x = seed * 0x9E3779B97F4A7C15u + step + 1;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

template <typename T>
class BasicExecutor<T>::Impl {
 public:
  Impl(const Graph& graph, const ExecutorOptions& options)
      : graph(graph.Clone()),
        options(options),
        store(graph),
        inputs(static_cast<int>(graph.placeholders().size())) {}

  absl::Status Forward(ExecutionMode mode, int64_t rows, absl::Span<const T* const> sources) {
    if (rows < 0 || rows > options.max_rows) {
      return absl::InvalidArgumentError(
          absl::StrCat(rows, " rows; this executor takes 0 to ", options.max_rows));
    }
    if (static_cast<int>(sources.size()) != inputs) {
      return absl::InvalidArgumentError(
          absl::StrCat(sources.size(), " inputs for a graph that has ", inputs));
    }
    last = nullptr;
    MASE_ASSIGN_OR_RETURN(Planned * planned, FindOrBuild(mode, rows));
    const bool training = mode == ExecutionMode::kTraining;
    if (training) ++version;  // The step moves statistics, and parameters will follow.
    const uint64_t seed = MixSeed(options.seed, step);
    if (training || planned->prepared != version) {
      MASE_RETURN_IF_ERROR(planned->plan->Prepare(seed));
      planned->prepared = version;
    }
    MASE_RETURN_IF_ERROR(planned->plan->Forward(sources, seed));
    if (training) ++step;
    last = planned;
    return absl::OkStatus();
  }

  absl::Status Backward(absl::Span<const T* const> diff_outputs) {
    if (last == nullptr || last->mode != ExecutionMode::kTraining) {
      return absl::FailedPreconditionError("Backward without a Forward in training mode");
    }
    if (diff_outputs.size() != last->plan->outputs().size()) {
      return absl::InvalidArgumentError(absl::StrCat(diff_outputs.size(),
                                                     " output gradients for a graph with ",
                                                     last->plan->outputs().size(), " outputs"));
    }
    return last->plan->Backward(diff_outputs);
  }

  absl::StatusOr<typename Plan<T>::Result> NodeResult(absl::string_view name) const {
    if (!options.keep_values || last == nullptr) {
      return absl::FailedPreconditionError(
          "values of nodes are there after Forward with the option keep_values");
    }
    MASE_ASSIGN_OR_RETURN(const Node* node, graph.LookUpNode(name));
    return last->plan->node_values()[node->id()];
  }

  // A plan and what it was made for.
  struct Planned {
    ExecutionMode mode;
    int64_t rows;
    int64_t prepared = -1;  // The version of the tensors that it last prepared for.
    std::unique_ptr<Plan<T>> plan;
  };

  absl::StatusOr<Planned*> FindOrBuild(ExecutionMode mode, int64_t rows) {
    for (auto planned = plans.begin(); planned != plans.end(); ++planned) {
      if (planned->mode != mode || planned->rows != rows) continue;
      plans.splice(plans.begin(), plans, planned);
      return &plans.front();
    }
    if (mode == ExecutionMode::kTraining) store.AllocateGradients();
    MASE_ASSIGN_OR_RETURN(auto plan, Plan<T>::Build(graph, mode, rows, options, store));
    if (plans.size() == kMaxPlans) plans.pop_back();
    plans.push_front({mode, rows, -1, std::move(plan)});
    return &plans.front();
  }

  const Graph graph;
  const ExecutorOptions options;
  TensorStore<T> store;
  const int inputs;
  std::list<Planned> plans;  // Last used first.
  Planned* last = nullptr;
  int64_t version = 0;
  uint64_t step = 0;
};

template <typename T>
absl::StatusOr<std::unique_ptr<BasicExecutor<T>>> BasicExecutor<T>::Create(
    const Graph& graph, const ExecutorOptions& options) {
  MASE_RETURN_IF_ERROR(VerifyGraph(graph));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    MASE_RETURN_IF_ERROR(CheckNode<T>(*node));
  }
  auto impl = std::make_unique<Impl>(graph, options);
  MASE_RETURN_IF_ERROR(impl->store.LoadFrom(graph));
  return std::unique_ptr<BasicExecutor>(new BasicExecutor(std::move(impl)));
}

template <typename T>
BasicExecutor<T>::BasicExecutor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

template <typename T>
BasicExecutor<T>::~BasicExecutor() = default;

template <typename T>
absl::Status BasicExecutor<T>::Forward(ExecutionMode mode, int64_t rows,
                                       absl::Span<const T* const> inputs) {
  return impl_->Forward(mode, rows, inputs);
}

template <typename T>
int BasicExecutor<T>::output_count() const {
  return static_cast<int>(impl_->graph.output()->inputs().size());
}

template <typename T>
absl::Span<const T> BasicExecutor<T>::output(int i) const {
  CHECK(impl_->last != nullptr) << "output() before Forward";
  const auto& output = impl_->last->plan->outputs()[i];
  return {output.data, static_cast<size_t>(output.shape.elements())};
}

template <typename T>
const Shape& BasicExecutor<T>::output_shape(int i) const {
  CHECK(impl_->last != nullptr) << "output_shape() before Forward";
  return impl_->last->plan->outputs()[i].shape;
}

template <typename T>
absl::StatusOr<absl::Span<const T>> BasicExecutor<T>::NodeValue(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  return absl::Span<const T>(
      result.data, static_cast<size_t>(result.data == nullptr ? 0 : result.shape.elements()));
}

template <typename T>
absl::StatusOr<Shape> BasicExecutor<T>::NodeShape(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  return result.shape;
}

template <typename T>
absl::Status BasicExecutor<T>::Backward(absl::Span<const T* const> diff_outputs) {
  return impl_->Backward(diff_outputs);
}

template <typename T>
absl::Span<const TensorSlot> BasicExecutor<T>::parameter_slots() const {
  return impl_->store.parameter_slots();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::parameters() {
  ++impl_->version;
  return impl_->store.parameters();
}

template <typename T>
absl::Span<const T> BasicExecutor<T>::gradients() const {
  return impl_->store.gradients();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::mutable_gradients() {
  return impl_->store.gradients();
}

template <typename T>
absl::Span<const TensorSlot> BasicExecutor<T>::buffer_slots() const {
  return impl_->store.buffer_slots();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::buffers() {
  ++impl_->version;
  return impl_->store.buffers();
}

template <typename T>
absl::Status BasicExecutor<T>::StoreTo(Graph& graph) const {
  return impl_->store.StoreTo(graph);
}

template <typename T>
absl::Status BasicExecutor<T>::LoadFrom(const Graph& graph) {
  ++impl_->version;
  return impl_->store.LoadFrom(graph);
}

template <typename T>
void BasicExecutor<T>::set_step(uint64_t step) {
  impl_->step = step;
}

template <typename T>
uint64_t BasicExecutor<T>::step() const {
  return impl_->step;
}

template class BasicExecutor<float>;
template class BasicExecutor<double>;

}  // namespace mase
