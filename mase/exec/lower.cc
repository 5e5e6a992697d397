#include "mase/exec/lower.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/power_of_two.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

constexpr uint64_t kStreamsPerNode = 16;

std::string Label(const Node& node) { return absl::StrCat(node.name(), " (", node.op(), ")"); }

}  // namespace

absl::StatusOr<Program> Lower(const Graph& graph, const LoweringOptions& options,
                              const TensorStore& store) {
  MASE_ASSIGN_OR_RETURN(InferredShapes shapes, InferShapesFor(graph, options.rows));
  Lowerer lowerer(graph, options, store, std::move(shapes));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (absl::Status status = lowerer.AddNode(*node); !status.ok()) {
      return Annotate(status, Label(*node));
    }
  }
  if (options.loss != nullptr) MASE_RETURN_IF_ERROR(lowerer.AddLoss());
  lowerer.program_.nodes.resize(graph.id_limit());
  for (const std::string& name : options.taps) {
    MASE_ASSIGN_OR_RETURN(const Node* node, graph.LookUpNode(name));
    lowerer.KeepValue(*node);
  }
  for (const Node* node = graph.first(); options.keep_values && node != nullptr;
       node = Graph::next(node)) {
    lowerer.KeepValue(*node);
  }
  return std::move(lowerer.program_);
}

Lowerer::Lowerer(const Graph& graph, const LoweringOptions& options, const TensorStore& store,
                 InferredShapes shapes)
    : graph_(graph),
      options_(options),
      store_(store),
      shapes_(std::move(shapes)),
      results_(graph.id_limit(), -1) {
  program_.training = options.training;
  program_.notes.resize(graph.id_limit());
  if (options.execution == Execution::kInteger && !options.training &&
      store.dtype() == DType::kFloat32) {
    plans_.emplace(graph, shapes_, store);
  }
  if (!options.picks_rows) return;
  Program::Value index;
  index.desc = {{options.rows}, Layout::kPlain, DType::kInt64};
  index.home = Program::Value::Home::kInput;  // AddLoss numbers it.
  index_ = 0;
  program_.values.push_back(std::move(index));
}

absl::Status Lowerer::AddNode(const Node& node) {
  if (node.kind() == NodeKind::kPlaceholder) {
    const ValueInfo& info = shapes_.info(node.outputs()[0]);
    const bool as_number = options_.ids_are_numbers && info.dtype == DType::kInt64;
    SetResult(node, AddInput({info.shape, Layout::kPlain, info.dtype},
                             as_number ? DType::kFloat32 : info.dtype, Label(node)));
    return absl::OkStatus();
  }
  if (node.kind() == NodeKind::kOutput) return AddOutputs(node);
  if (node.Is(OpTrait::kFromShapes)) return absl::OkStatus();
  if (node.Is(OpTrait::kStored)) {
    SetResult(node, StoredTensor(node.parameters()[0].tensor));
    return absl::OkStatus();
  }
  if (node.Is(OpTrait::kRenames) || (!training() && node.Is(OpTrait::kRenamesAtRest))) {
    MASE_ASSIGN_OR_RETURN(const Program::Operand src, SourceAsIs(node, 0));
    SetResult(node, src.value);
    return absl::OkStatus();
  }
  Program::Note& note = program_.notes[node.id()];
  note.has_record = node.quantization() != nullptr;
  if (plans_.has_value()) {
    const absl::StatusOr<IntegerPlan>& plan = plans_->of(node);
    note.way = Execution::kInteger;
    if (plan.ok()) {
      note.exact = plan->exact;
      return LowerInteger(node, *plan, *this);
    }
    if (!note.has_record) {
      MASE_ASSIGN_OR_RETURN(const bool done, LowerOnCodes(node, plans_->wanted(node), *this));
      if (done) {
        note.exact = IsPowerOfTwo(CodesOf(results_[node.id()])->scale);
        return absl::OkStatus();
      }
      // What cuts numbers at zero right before all readers round them computes no number.
      if (node.Is(OpTrait::kCutsNegatives) && plans_->wanted(node).has_value()) {
        return LowerFloat(node, *this);
      }
    }
    note.reason = std::string(plan.status().message());
  }
  if (options_.execution == Execution::kFloat || !note.has_record) {
    note.way = Execution::kFloat;
    return LowerFloat(node, *this);
  }
  note.way = Execution::kSimulated;
  return IsReference(node) ? LowerReference(node, *this) : LowerSimulated(node, *this);
}

int Lowerer::AsCodes(const Node& node, int value, const Codes& codes) {
  if (CodesOf(value) == codes) return value;
  for (const Converted& known : converted_) {
    if (known.from == value && known.codes == codes) return known.to;
  }
  Program::Step step = {.op = std::string(kEncode), .label = Label(node)};
  step.kernel_name = std::string(kConvert);
  step.on_codes = true;
  step.codes = codes;
  step.srcs = {{value, ShapeOf(value)}};
  const Shape shape = ShapeOf(value);
  const int encoded = AppendCodes(std::move(step), shape, codes);
  converted_.push_back({value, codes, encoded});
  return encoded;
}

int Lowerer::AsNumbers(const std::string& label, int value) {
  if (!CodesOf(value).has_value()) return value;
  for (const Converted& known : converted_) {
    if (known.from == value && !known.codes.has_value()) return known.to;
  }
  Program::Step step = {.op = std::string(kDecode), .label = label};
  step.kernel_name = std::string(kConvert);
  step.on_codes = true;
  step.srcs = {{value, ShapeOf(value)}};
  const Shape shape = ShapeOf(value);
  const int decoded = Append(std::move(step), shape);
  converted_.push_back({value, std::nullopt, decoded});
  return decoded;
}

int Lowerer::AddInput(TensorDesc desc, DType given, absl::string_view label) {
  const DType wanted = TypeOf(desc.dtype);
  desc.dtype = options_.loss == nullptr ? TypeOf(given) : given;
  Program::Value value;
  value.desc = desc;
  value.home = Program::Value::Home::kInput;
  value.input = program_.input_count++;
  const int data = static_cast<int>(program_.values.size());
  program_.values.push_back(std::move(value));
  if (!options_.picks_rows && desc.dtype == wanted) return data;
  Program::Step pick = {.op = std::string(kPickRows), .label = std::string(label)};
  pick.srcs = {{data, desc.shape}};
  if (options_.picks_rows) pick.srcs.push_back({index_, program_.desc(index_).shape});
  return program_.Append(std::move(pick), {desc.shape, Layout::kPlain, wanted});
}

absl::Status Lowerer::AddLoss() {
  if (program_.outputs.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a loss is of one result, the graph has ", program_.outputs.size()));
  }
  const int labels = AddInput({{options_.rows}, Layout::kPlain, options_.loss->label_type},
                              options_.loss->label_type, "labels");
  if (options_.picks_rows) program_.values[index_].input = program_.input_count++;
  Program::Step loss = {.op = std::string(options_.loss->op), .label = "loss"};
  loss.srcs = {program_.outputs[0], {labels, {options_.rows}}};
  const int figures = program_.Append(std::move(loss), {{2}, Layout::kPlain, DType::kFloat64});
  program_.outputs = {{figures, {2}}};
  program_.has_loss = true;
  return absl::OkStatus();
}

absl::Status Lowerer::AddOutputs(const Node& node) {
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    MASE_ASSIGN_OR_RETURN(Program::Operand src, Source(node, static_cast<int>(i)));
    const DType dtype = program_.desc(src.value).dtype;
    if (dtype != store_.dtype()) {
      return absl::UnimplementedError(absl::StrCat("result ", i, " is ", DTypeName(dtype),
                                                   "; results are ", DTypeName(store_.dtype())));
    }
    program_.outputs.push_back(std::move(src));
  }
  return absl::OkStatus();
}

void Lowerer::KeepValue(const Node& node) {
  if (results_[node.id()] < 0) return;
  const int value = AsNumbers(Label(node), results_[node.id()]);
  program_.nodes[node.id()] = {value, shapes_.shape(node.outputs()[0])};
}

Program::Step Lowerer::StartStep(const Node& node) const {
  return {.op = std::string(node.op()),
          .attributes = node.attributes(),
          .label = Label(node),
          .stream = static_cast<uint64_t>(node.id()) * kStreamsPerNode,
          .macs = ArithmeticOf(node, shapes_).macs,
          .schema = &node.schema()};
}

absl::StatusOr<Program::Operand> Lowerer::Source(const Node& node, int input) {
  MASE_ASSIGN_OR_RETURN(Program::Operand src, SourceAsIs(node, input));
  src.value = AsNumbers(Label(node), src.value);
  return src;
}

absl::StatusOr<Program::Operand> Lowerer::SourceAsIs(const Node& node, int input) const {
  const Value* value = node.inputs()[input];
  const int id = results_[value->producer()->id()];
  if (id < 0) {
    return absl::UnimplementedError(
        absl::StrCat("reads '", value->name(), "', which is no float tensor"));
  }
  return Program::Operand{id, shapes_.shape(value)};
}

int Lowerer::StoredTensor(const std::string& name) {
  const auto [entry, is_new] = stored_.try_emplace(name, static_cast<int>(program_.values.size()));
  if (is_new) {
    Program::Value value;
    value.place = store_.Find(name);
    value.desc = {value.place.shape, Layout::kPlain, store_.dtype()};
    value.home = Program::Value::Home::kStore;
    value.needs_gradient = training() && !value.place.buffer;
    program_.values.push_back(std::move(value));
  }
  return entry->second;
}

int Lowerer::Append(Program::Step step, const Shape& dst) {
  return program_.Append(std::move(step), {dst, Layout::kPlain, store_.dtype()});
}

int Lowerer::Append(Program::Step step, const ValueInfo& dst) {
  return program_.Append(std::move(step), {dst.shape, Layout::kPlain, TypeOf(dst.dtype)});
}

int Lowerer::AppendCodes(Program::Step step, const Shape& dst, const Codes& codes) {
  return program_.Append(std::move(step), {dst, Layout::kPlain, codes.dtype(), codes});
}

}  // namespace mase
