#include "mase/exec/executor.h"

#include <list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/mix64.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executable.h"
#include "mase/exec/tensor_store.h"
#include "mase/format/format.h"
#include "mase/graph/verifier.h"
#include "mase/kernel/kernel.h"

namespace mase {
namespace {

// Programs kept: full and short batches of training and of evaluation, and some to spare.
constexpr size_t kMaxPrograms = 6;

bool NeedsKernel(const Node& node) {
  return node.kind() != NodeKind::kPlaceholder && node.kind() != NodeKind::kOutput &&
         !node.Is(OpTrait::kFromShapes) && !node.Is(OpTrait::kRenames) &&
         !node.Is(OpTrait::kRenamesAtRest);
}

absl::Status CheckNode(const Node& node, DType dtype) {
  if (NeedsKernel(node) && !HasKernel(node.op(), dtype)) {
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

// An executor but for the element type of its interface.
class Engine {
 public:
  Engine(const Graph& graph, const ExecutorOptions& options, DType dtype)
      : graph(graph.Clone()),
        options(options),
        store(graph, dtype),
        inputs(static_cast<int>(graph.placeholders().size())) {}

  absl::Status Forward(ExecutionMode mode, int64_t rows, absl::Span<const InputData> sources) {
    if (rows < 0 || rows > options.max_rows) {
      return absl::InvalidArgumentError(
          absl::StrCat(rows, " rows; this executor takes 0 to ", options.max_rows));
    }
    if (static_cast<int>(sources.size()) != inputs) {
      return absl::InvalidArgumentError(
          absl::StrCat(sources.size(), " inputs for a graph that has ", inputs));
    }
    last = nullptr;
    MASE_ASSIGN_OR_RETURN(Compiled * compiled, FindOrCompile(mode, rows));
    const bool training = mode == ExecutionMode::kTraining;
    if (training) ++version;  // The step moves statistics, and parameters will follow.
    const uint64_t seed = Mix64(options.seed, step);
    if (training || compiled->prepared != version) {
      MASE_RETURN_IF_ERROR(compiled->executable->Prepare(seed));
      compiled->prepared = version;
    }
    MASE_RETURN_IF_ERROR(compiled->executable->Forward(sources, seed));
    if (training) ++step;
    last = compiled;
    return absl::OkStatus();
  }

  absl::Status Backward(absl::Span<const void* const> diff_outputs) {
    if (last == nullptr || last->mode != ExecutionMode::kTraining) {
      return absl::FailedPreconditionError("Backward without a Forward in training mode");
    }
    if (diff_outputs.size() != last->executable->outputs().size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(diff_outputs.size(), " output gradients for a graph with ",
                       last->executable->outputs().size(), " outputs"));
    }
    return last->executable->Backward(diff_outputs);
  }

  absl::StatusOr<Executable::Result> NodeResult(absl::string_view name) const {
    if (!options.keep_values || last == nullptr) {
      return absl::FailedPreconditionError(
          "values of nodes are there after Forward with the option keep_values");
    }
    MASE_ASSIGN_OR_RETURN(const Node* node, graph.LookUpNode(name));
    return last->executable->node_values()[node->id()];
  }

  // A program and what it was made for.
  struct Compiled {
    ExecutionMode mode;
    int64_t rows;
    int64_t prepared = -1;  // The version of the tensors that it last prepared for.
    std::unique_ptr<Executable> executable;
  };

  absl::StatusOr<Compiled*> FindOrCompile(ExecutionMode mode, int64_t rows) {
    for (auto compiled = programs.begin(); compiled != programs.end(); ++compiled) {
      if (compiled->mode != mode || compiled->rows != rows) continue;
      programs.splice(programs.begin(), programs, compiled);
      return &programs.front();
    }
    const bool training = mode == ExecutionMode::kTraining;
    if (training) store.AllocateGradients();
    const CompileOptions how = {.lowering = {.training = training,
                                             .rows = rows,
                                             .simulate_quantization = options.simulate_quantization,
                                             .keep_values = options.keep_values},
                                .layout = {.bfloat16 = options.bfloat16}};
    MASE_ASSIGN_OR_RETURN(auto executable, Executable::Compile(graph, how, store));
    if (programs.size() == kMaxPrograms) programs.pop_back();
    programs.push_front({mode, rows, -1, std::move(executable)});
    return &programs.front();
  }

  const Graph graph;
  const ExecutorOptions options;
  TensorStore store;
  const int inputs;
  std::list<Compiled> programs;  // Last used first.
  Compiled* last = nullptr;
  int64_t version = 0;
  uint64_t step = 0;
};

}  // namespace

template <typename T>
class BasicExecutor<T>::Impl : public Engine {
 public:
  Impl(const Graph& graph, const ExecutorOptions& options)
      : Engine(graph, options, DTypeOf<T>::value) {}

  // A result as numbers of T; empty where there is none.
  static absl::Span<const T> Numbers(const Executable::Result& result) {
    if (result.data == nullptr) return {};
    CHECK(result.dtype == DTypeOf<T>::value) << "a value of " << DTypeName(result.dtype);
    return {static_cast<const T*>(result.data), static_cast<size_t>(result.shape.elements())};
  }
};

template <typename T>
absl::StatusOr<std::unique_ptr<BasicExecutor<T>>> BasicExecutor<T>::Create(
    const Graph& graph, const ExecutorOptions& options) {
  MASE_RETURN_IF_ERROR(VerifyGraph(graph));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    MASE_RETURN_IF_ERROR(CheckNode(*node, DTypeOf<T>::value));
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
                                       absl::Span<const InputData> inputs) {
  return impl_->Forward(mode, rows, inputs);
}

template <typename T>
int BasicExecutor<T>::output_count() const {
  return static_cast<int>(impl_->graph.output()->inputs().size());
}

template <typename T>
absl::Span<const T> BasicExecutor<T>::output(int i) const {
  CHECK(impl_->last != nullptr) << "output() before Forward";
  return Impl::Numbers(impl_->last->executable->outputs()[i]);
}

template <typename T>
const Shape& BasicExecutor<T>::output_shape(int i) const {
  CHECK(impl_->last != nullptr) << "output_shape() before Forward";
  return impl_->last->executable->outputs()[i].shape;
}

template <typename T>
absl::StatusOr<absl::Span<const T>> BasicExecutor<T>::NodeValue(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  return Impl::Numbers(result);
}

template <typename T>
absl::StatusOr<Shape> BasicExecutor<T>::NodeShape(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  return result.shape;
}

template <typename T>
absl::Status BasicExecutor<T>::Backward(absl::Span<const T* const> diff_outputs) {
  return impl_->Backward(
      {reinterpret_cast<const void* const*>(diff_outputs.data()), diff_outputs.size()});
}

template <typename T>
absl::Span<const TensorSlot> BasicExecutor<T>::parameter_slots() const {
  return impl_->store.parameter_slots();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::parameters() {
  ++impl_->version;
  return impl_->store.parameters().template as<T>();
}

template <typename T>
absl::Span<const T> BasicExecutor<T>::gradients() const {
  return impl_->store.gradients().template as<T>();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::mutable_gradients() {
  return impl_->store.gradients().template as<T>();
}

template <typename T>
absl::Span<const TensorSlot> BasicExecutor<T>::buffer_slots() const {
  return impl_->store.buffer_slots();
}

template <typename T>
absl::Span<T> BasicExecutor<T>::buffers() {
  ++impl_->version;
  return impl_->store.buffers().template as<T>();
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
