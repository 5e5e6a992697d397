#include "mase/exec/executor.h"

#include <list>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "mase/base/mix64.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executable.h"
#include "mase/exec/operand_state.h"
#include "mase/exec/tensor_store.h"
#include "mase/format/shared_format.h"
#include "mase/graph/shape_inference.h"
#include "mase/graph/verifier.h"
#include "mase/kernel/kernel.h"
#include "mase/quantize/scales.h"

namespace mase {
namespace {

// Programs kept: full and short batches of training and of evaluation, and some to spare.
constexpr size_t kMaxPrograms = 6;

bool NeedsKernel(const Node& node) {
  return node.kind() != NodeKind::kPlaceholder && node.kind() != NodeKind::kOutput &&
         !node.Is(OpTrait::kFromShapes) && !node.Is(OpTrait::kStored) &&
         !node.Is(OpTrait::kRenames) && !node.Is(OpTrait::kRenamesAtRest);
}

absl::Status CheckNode(const Node& node, DType dtype) {
  if (NeedsKernel(node) && !HasKernel(node.op(), dtype)) {
    return absl::UnimplementedError(
        absl::StrCat(node.name(), ": there is no kernel for op '", node.op(), "'"));
  }
  if (node.quantization() == nullptr) return absl::OkStatus();
  for (const OperandFormat& operand : node.quantization()->operand()) {
    if (auto format = SharedFormat(operand.format()); !format.ok()) {
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
        inputs(static_cast<int>(graph.placeholders().size())) {
    for (const Node* input : graph.placeholders()) {
      id_inputs_.push_back(input->attributes().String("dtype") == DTypeName(DType::kInt64));
    }
    reads_ids_ = absl::c_linear_search(id_inputs_, true);
  }

  absl::Status Forward(ExecutionMode mode, int64_t rows, absl::Span<const InputData> sources) {
    MASE_RETURN_IF_ERROR(CheckInputs(rows, static_cast<int>(sources.size())));
    const Kind kind = mode == ExecutionMode::kTraining ? Kind::kTraining : Kind::kInference;
    MASE_ASSIGN_OR_RETURN(Compiled * compiled,
                          FindOrCompile(kind, rows, HaveNumbersForIds(sources)));
    MASE_RETURN_IF_ERROR(Run(*compiled, sources));
    last = compiled;
    return absl::OkStatus();
  }

  absl::StatusOr<Executable::Row> Row() {
    MASE_RETURN_IF_ERROR(CheckInputs(1, inputs));
    MASE_ASSIGN_OR_RETURN(Compiled * compiled, FindOrCompile(Kind::kInference, 1, false));
    const Executable::Row& row = compiled->executable->row();
    if (row.run == nullptr) return row;
    MASE_RETURN_IF_ERROR(compiled->executable->Prepare(Mix64(options.seed, step)));
    compiled->prepared = version;
    compiled->is_lent = true;
    return row;
  }

  absl::StatusOr<int64_t> PlannedBytes(int64_t rows) {
    MASE_RETURN_IF_ERROR(CheckInputs(rows, inputs));
    MASE_ASSIGN_OR_RETURN(const Compiled* compiled, FindOrCompile(Kind::kInference, rows, false));
    return compiled->executable->bytes();
  }

  absl::StatusOr<LossFigures> TrainStep(const TrainingBatch& batch) {
    MASE_RETURN_IF_ERROR(CheckInputs(batch.rows, static_cast<int>(batch.inputs.size())));
    const Kind kind = batch.picked == nullptr ? Kind::kTrainStep : Kind::kTrainPickedStep;
    MASE_ASSIGN_OR_RETURN(Compiled * compiled,
                          FindOrCompile(kind, batch.rows, HaveNumbersForIds(batch.inputs)));
    sources_.assign(batch.inputs.begin(), batch.inputs.end());
    sources_.push_back(batch.labels);
    if (batch.picked != nullptr) sources_.push_back(batch.picked);
    MASE_RETURN_IF_ERROR(Run(*compiled, sources_));
    MASE_RETURN_IF_ERROR(compiled->executable->Backward({}));
    const double* figures = static_cast<const double*>(compiled->executable->outputs()[0].data);
    return LossFigures{figures[0], static_cast<int64_t>(figures[1])};
  }

  absl::Status Backward(absl::Span<const void* const> diff_outputs) {
    if (last == nullptr || last->kind != Kind::kTraining) {
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
    const bool keeps = options.keep_values || absl::c_linear_search(options.taps, name);
    if (!keeps || last == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "values of nodes are there after Forward with the option keep_values, or taps with '",
          name, "'"));
    }
    MASE_ASSIGN_OR_RETURN(const Node* node, graph.LookUpNode(name));
    return last->executable->node_values()[node->id()];
  }

  const Executable::Result& Output(int i) const {
    static const Executable::Result& none = *new Executable::Result{nullptr, {0}};
    const bool is_there =
        last != nullptr && i >= 0 && i < static_cast<int>(last->executable->outputs().size());
    return is_there ? last->executable->outputs()[i] : none;
  }

  absl::StatusOr<ExecutionReport> Report() const {
    if (last == nullptr) return absl::FailedPreconditionError("a report before Forward");
    ExecutionReport report = {.steps = last->executable->steps()};
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      const Program::Note& note = last->executable->notes()[node->id()];
      if (!note.way.has_value()) continue;
      report.nodes.push_back({node->name(), std::string(node->op()), *note.way, note.has_record,
                              note.exact, note.reason});
    }
    return report;
  }

  // What a program is made for, beside a number of rows.
  enum class Kind { kInference, kTraining, kTrainStep, kTrainPickedStep };
  struct Compiled {
    Kind kind;
    int64_t rows;
    bool ids_are_numbers;
    int64_t prepared = -1;  // The version of the tensors that it last prepared for.
    bool is_lent = false;   // As a RowCall, so it stays.
    std::unique_ptr<Executable> executable;
  };

  const Graph graph;
  const ExecutorOptions options;
  TensorStore store;
  const int inputs;
  Compiled* last = nullptr;  // What Forward ran; null after a failure and TrainStep.
  int64_t version = 0;
  uint64_t step = 0;

 private:
  absl::Status CheckInputs(int64_t rows, int count) {
    last = nullptr;
    if (rows >= 0 && rows <= options.max_rows && count == inputs) [[likely]] {
      return absl::OkStatus();
    }
    return InputError(rows, count);
  }

  [[gnu::cold, gnu::noinline]] absl::Status InputError(int64_t rows, int count) const {
    return absl::InvalidArgumentError(
        count == inputs ? absl::StrCat(rows, " rows; this executor takes 0 to ", options.max_rows)
                        : absl::StrCat(count, " inputs for a graph that has ", inputs));
  }

  absl::Status Run(Compiled& compiled, absl::Span<const InputData> sources) {
    const bool training = compiled.kind != Kind::kInference;
    if (training) ++version;  // The step moves statistics, and parameters will follow.
    const uint64_t seed = Mix64(options.seed, step);
    if (training || compiled.prepared != version) {
      MASE_RETURN_IF_ERROR(compiled.executable->Prepare(seed));
      compiled.prepared = version;
    }
    MASE_RETURN_IF_ERROR(compiled.executable->Forward(sources, seed));
    if (training) ++step;
    return absl::OkStatus();
  }

  // Whether ids come as numbers, as the tables of data sets have them.
  bool HaveNumbersForIds(absl::Span<const InputData> sources) const {
    if (!reads_ids_) [[likely]]
      return false;
    for (size_t i = 0; i < id_inputs_.size(); ++i) {
      if (id_inputs_[i] && sources[i].dtype != DType::kInt64) return true;
    }
    return false;
  }

  absl::StatusOr<Compiled*> FindOrCompile(Kind kind, int64_t rows, bool ids_are_numbers) {
    if (!programs_.empty() && programs_.front().kind == kind && programs_.front().rows == rows &&
        programs_.front().ids_are_numbers == ids_are_numbers) {
      return &programs_.front();
    }
    return FindOlderOrCompile(kind, rows, ids_are_numbers);
  }

  [[gnu::noinline]] absl::StatusOr<Compiled*> FindOlderOrCompile(Kind kind, int64_t rows,
                                                                 bool ids_are_numbers) {
    for (auto compiled = programs_.begin(); compiled != programs_.end(); ++compiled) {
      if (compiled->kind != kind || compiled->rows != rows ||
          compiled->ids_are_numbers != ids_are_numbers) {
        continue;
      }
      programs_.splice(programs_.begin(), programs_, compiled);
      return &programs_.front();
    }
    const bool training = kind != Kind::kInference;
    const bool has_loss = kind == Kind::kTrainStep || kind == Kind::kTrainPickedStep;
    if (training) store.AllocateGradients();
    const CompileOptions how = {
        .lowering = {.training = training,
                     .rows = rows,
                     .execution = options.execution,
                     .keep_values = options.keep_values && !has_loss,
                     .taps = has_loss ? absl::Span<const std::string>() : options.taps,
                     .loss = has_loss ? &options.loss : nullptr,
                     .picks_rows = kind == Kind::kTrainPickedStep,
                     .ids_are_numbers = ids_are_numbers},
        .kernels = {.bfloat16 = options.bfloat16, .folds_norms = options.taps.empty()},
        .measure_steps = options.measure_steps,
        .interrupted = training ? nullptr : options.interrupted};
    MASE_ASSIGN_OR_RETURN(auto executable, Executable::Compile(graph, how, store));
    if (programs_.size() >= kMaxPrograms) {
      const auto oldest = std::find_if(programs_.rbegin(), programs_.rend(),
                                       [](const Compiled& compiled) { return !compiled.is_lent; });
      if (oldest != programs_.rend()) programs_.erase(std::next(oldest).base());
    }
    programs_.push_front({kind, rows, ids_are_numbers, -1, false, std::move(executable)});
    return &programs_.front();
  }

  std::vector<bool> id_inputs_;     // By input.
  bool reads_ids_ = false;          // One of them.
  std::list<Compiled> programs_;    // Last used first.
  std::vector<InputData> sources_;  // Of a training step.
};

}  // namespace

template <typename T>
class BasicExecutor<T>::Impl : public Engine {
 public:
  Impl(const Graph& graph, const ExecutorOptions& options)
      : Engine(graph, options, DTypeOf<T>::value) {}

  // A result as numbers of T; empty where there is none.
  static absl::Span<const T> Numbers(const Executable::Result& result) {
    if (result.data == nullptr || result.dtype != DTypeOf<T>::value) return {};
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
  MASE_RETURN_IF_ERROR(CheckScales(graph));
  MASE_RETURN_IF_ERROR(CheckOperandStates(graph));
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
absl::StatusOr<RowCall<T>> BasicExecutor<T>::Row() {
  MASE_ASSIGN_OR_RETURN(const Executable::Row row, impl_->Row());
  return RowCall<T>(row.run, row.prepared, row.scratch);
}

template <typename T>
absl::StatusOr<std::vector<Shape>> BasicExecutor<T>::InputShapes(int64_t rows) const {
  MASE_ASSIGN_OR_RETURN(const InferredShapes inferred, InferShapesFor(impl_->graph, rows));
  std::vector<Shape> shapes;
  for (const Node* input : impl_->graph.placeholders()) {
    shapes.push_back(inferred.shape(input->outputs()[0]));
  }
  return shapes;
}

template <typename T>
absl::StatusOr<int64_t> BasicExecutor<T>::PlannedBytes(int64_t rows) {
  return impl_->PlannedBytes(rows);
}

template <typename T>
int BasicExecutor<T>::output_count() const {
  return static_cast<int>(impl_->graph.output()->inputs().size());
}

template <typename T>
absl::Span<const T> BasicExecutor<T>::output(int i) const {
  return Impl::Numbers(impl_->Output(i));
}

template <typename T>
const Shape& BasicExecutor<T>::output_shape(int i) const {
  return impl_->Output(i).shape;
}

template <typename T>
absl::StatusOr<absl::Span<const T>> BasicExecutor<T>::NodeValue(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  if (result.data != nullptr && result.dtype != DTypeOf<T>::value) {
    return absl::UnimplementedError(absl::StrCat(node, ": its value is ", DTypeName(result.dtype),
                                                 ", and no result of arithmetic"));
  }
  return Impl::Numbers(result);
}

template <typename T>
absl::StatusOr<Shape> BasicExecutor<T>::NodeShape(absl::string_view node) const {
  MASE_ASSIGN_OR_RETURN(const auto result, impl_->NodeResult(node));
  return result.shape;
}

template <typename T>
absl::StatusOr<ExecutionReport> BasicExecutor<T>::Report() const {
  return impl_->Report();
}

template <typename T>
absl::Status BasicExecutor<T>::Backward(absl::Span<const T* const> diff_outputs) {
  const absl::InlinedVector<const void*, 4> pointers(diff_outputs.begin(), diff_outputs.end());
  return impl_->Backward(pointers);
}

template <typename T>
absl::StatusOr<LossFigures> BasicExecutor<T>::TrainStep(const TrainingBatch& batch) {
  return impl_->TrainStep(batch);
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
