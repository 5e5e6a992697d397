#include "mase/exec/executable.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/integer/chain.h"

namespace mase {
namespace {

double Median(std::vector<double> numbers) {
  if (numbers.empty()) return 0;
  const auto middle = numbers.begin() + static_cast<int64_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

// Bytes to prepare from which waking the threads takes no time.
constexpr int64_t kBytesWorthThreads = 1 << 20;

template <typename T>
void AddNumbers(const void* from, void* to, int64_t elements) {
  const T* a = static_cast<const T*>(from);
  T* sum = static_cast<T*>(to);
  for (int64_t i = 0; i < elements; ++i) sum[i] += a[i];
}

void Add(const void* from, void* to, int64_t elements, DType dtype) {
  if (dtype == DType::kFloat64) return AddNumbers<double>(from, to, elements);
  AddNumbers<float>(from, to, elements);
}

}  // namespace

// Gives the steps of a program their pointers.
class Executable::Binder {
 public:
  Binder(Program program, bool measures, Executable& executable)
      : program_(std::move(program)),
        memory_(PlaceMemory(program_)),
        measures_(measures),
        executable_(executable) {
    executable_.arena_ = AlignedBytes(memory_.bytes);
  }

  void Run() {
    BindSteps(program_.prepare, memory_.prepare, &executable_.prepare_);
    BindSteps(program_.steps, memory_.steps, &executable_.steps_);
    for (size_t i = 0; i < executable_.steps_.size(); ++i) {
      const int64_t bytes = executable_.steps_[i].kernel->prepared_bytes();
      if (bytes > 0) executable_.preparations_.push_back(i);
      executable_.prepared_bytes_ += bytes;
    }
    executable_.notes_ = std::move(program_.notes);
    BindResults(program_.outputs, &executable_.outputs_);
    BindResults(program_.nodes, &executable_.node_values_);
    for (const Program::Seed& seed : program_.seeds) {
      const int value = program_.outputs[seed.output].value;
      const TensorDesc& desc = program_.desc(value);
      executable_.seeds_.push_back(
          {Diff(value), desc.elements(), desc.dtype, seed.output, seed.adds});
    }
    if (IsDirect()) {
      const Step& step = executable_.steps_[0];
      executable_.row_ = {step.kernel->row_function(), step.args.prepared, step.scratch};
    }
    executable_.input_types_.resize(program_.input_count);
    for (const Program::Value& value : program_.values) {
      if (value.input >= 0) executable_.input_types_[value.input] = value.desc.dtype;
    }
  }

 private:
  // Whether the program is one step, from the one input to the one result.
  bool IsDirect() const {
    if (program_.training || measures_ || program_.steps.size() != 1) return false;
    const Program::Step& step = program_.steps[0];
    return program_.input_count == 1 && step.srcs.size() == 1 &&
           program_.values[step.srcs[0].value].home == Program::Value::Home::kInput &&
           program_.outputs.size() == 1 && program_.outputs[0].value == step.dst &&
           std::all_of(program_.nodes.begin(), program_.nodes.end(),
                       [](const Program::Operand& node) { return node.value < 0; });
  }

  void* At(int64_t offset) const {
    return offset == Memory::kNowhere ? nullptr : executable_.arena_.data() + offset;
  }
  void* Data(int id) const {
    const Program::Value& value = program_.values[id];
    return value.home == Program::Value::Home::kStore ? value.place.data : At(memory_.values[id]);
  }
  void* Diff(int id) const {
    const Program::Value& value = program_.values[id];
    return value.home == Program::Value::Home::kStore ? value.place.gradient
                                                      : At(memory_.gradients[id]);
  }
  // Has `pointer` set at each call if the value is an input.
  void FollowInput(int id, const void** pointer) {
    if (program_.values[id].home != Program::Value::Home::kInput) return;
    executable_.input_uses_.push_back({pointer, program_.values[id].input});
  }

  void BindSteps(std::vector<Program::Step>& drafts, const std::vector<Memory::OfStep>& memory,
                 std::vector<Step>* steps) {
    steps->resize(drafts.size());
    for (size_t i = 0; i < drafts.size(); ++i) BindStep(drafts[i], memory[i], (*steps)[i]);
  }

  void BindStep(Program::Step& draft, const Memory::OfStep& memory, Step& step) {
    step.report = program_.Describe(draft);
    step.chain = draft.chain;
    step.measured = measures_;
    step.kernel = std::move(draft.kernel);
    for (const Program::Operand& src : draft.srcs) step.srcs.push_back(Data(src.value));
    for (size_t i = 0; i < draft.srcs.size(); ++i) FollowInput(draft.srcs[i].value, &step.srcs[i]);
    for (const int tensor : draft.tensors) step.tensors.push_back(Data(tensor));
    step.args.srcs = step.srcs.data();
    step.args.tensors = step.tensors.data();
    step.args.dst = Data(draft.dst);
    step.args.prepared = At(memory.prepared);
    step.args.workspace = At(memory.workspace);
    step.scratch = At(memory.scratch);
    step.runs_forward = !program_.training || !step.kernel->turns();
    step.runs_backward = draft.runs_backward;
    if (!step.runs_backward) return;
    step.diff_srcs.resize(draft.srcs.size());
    for (size_t i = 0; i < draft.srcs.size(); ++i) {
      step.diff_srcs[i] =
          BindDiff(draft.src_gradients[i], draft.srcs[i].value, memory.src_temporaries[i], step);
    }
    step.diff_tensors.resize(draft.tensors.size());
    for (size_t i = 0; i < draft.tensors.size(); ++i) {
      step.diff_tensors[i] =
          BindDiff(draft.tensor_gradients[i], draft.tensors[i], memory.tensor_temporaries[i], step);
    }
    step.backward_scratch = At(memory.backward_scratch);
    step.args.diff_dst = Diff(draft.dst);
    step.args.diff_srcs = step.diff_srcs.data();
    step.args.diff_tensors = step.diff_tensors.data();
  }

  // Where the step writes the gradient; null where nobody wants it.
  void* BindDiff(const Program::Gradient& gradient, int value, int64_t temporary,
                 Step& step) const {
    if (!gradient.wanted) return nullptr;
    if (temporary == Memory::kNowhere) return Diff(value);
    const TensorDesc& desc = program_.desc(value);
    step.additions.push_back({At(temporary), Diff(value), desc.elements(), desc.dtype});
    return At(temporary);
  }

  void BindResults(const std::vector<Program::Operand>& values, std::vector<Result>* results) {
    results->resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].value < 0) continue;
      (*results)[i] = {Data(values[i].value), values[i].shape,
                       program_.desc(values[i].value).dtype};
      FollowInput(values[i].value, &(*results)[i].data);
    }
  }

  Program program_;
  const Memory memory_;
  const bool measures_;
  Executable& executable_;
};

absl::StatusOr<std::unique_ptr<Executable>> Executable::Compile(const Graph& graph,
                                                                const CompileOptions& options,
                                                                const TensorStore& store) {
  MASE_ASSIGN_OR_RETURN(Program program, Lower(graph, options.lowering, store));
  Fuse(options.kernels, program);
  if (!program.training) FuseIntegerChains(program);
  MASE_RETURN_IF_ERROR(ChooseLayouts(options.kernels, program));
  if (program.training) PlanBackward(program);
  std::unique_ptr<Executable> executable(new Executable);
  Binder(std::move(program), options.measure_steps, *executable).Run();
  executable->interrupted_ = options.interrupted;
  return executable;
}

// One row of a small net takes as long as a few hundred instructions: what is rare stays out of the
// way, in functions that are not inlined.
[[gnu::cold, gnu::noinline]] absl::Status Executable::StepError(const Step& step,
                                                                const absl::Status& status) {
  return Annotate(status, step.report.label);
}

[[gnu::cold, gnu::noinline]] absl::Status Executable::TypeError(size_t input, DType got) const {
  return absl::InvalidArgumentError(absl::StrCat("input ", input, " is ", DTypeName(got), ", want ",
                                                 DTypeName(input_types_[input])));
}

std::vector<StepExecution> Executable::steps() const {
  const auto add = [](const KernelFacts& facts, StepExecution* report) {
    report->implementation = std::string(facts.implementation);
    report->isa = std::string(facts.isa);
    report->sum_bits = facts.sum_bits;
    if (report->bias.has_value() && facts.bias.has_value()) report->bias = facts.bias;
    if (facts.weight.has_value()) report->operands.back() = *facts.weight;
  };
  std::vector<StepExecution> steps;
  for (const Step& step : steps_) {
    StepExecution report = step.report;
    report.calls = static_cast<int64_t>(step.seconds.size());
    report.seconds = Median(step.seconds);
    add(step.kernel->facts(), &report);
    if (step.chain != nullptr) {
      const std::vector<KernelFacts> parts = step.chain->StepFacts();
      for (size_t i = 0; i < parts.size(); ++i) add(parts[i], &report.parts[i]);
    }
    steps.push_back(std::move(report));
  }
  return steps;
}

[[gnu::cold, gnu::noinline]] absl::Status Executable::RunMeasured(Step& step) {
  const absl::Time begun = absl::Now();
  absl::Status status = step.kernel->Forward(step.args);
  step.seconds.push_back(absl::ToDoubleSeconds(absl::Now() - begun));
  return status;
}

inline absl::Status Executable::RunForward(Step& step, uint64_t seed) {
  step.args.seed = seed;
  step.args.scratch = step.scratch;
  absl::Status status = step.measured ? RunMeasured(step) : step.kernel->Forward(step.args);
  if (!status.ok()) [[unlikely]]
    return StepError(step, status);
  return status;
}

absl::Status Executable::Prepare(uint64_t seed) {
  for (Step& step : prepare_) MASE_RETURN_IF_ERROR(RunForward(step, seed));
  const auto prepare = [this](size_t i) {
    Step& step = steps_[preparations_[i]];
    try {
      step.prepare_status = step.kernel->Prepare(step.args);
    } catch (const std::bad_alloc&) {  // Which may not leave a parallel region.
      step.prepare_status =
          absl::ResourceExhaustedError("out of memory while its tensors are prepared");
    }
  };
  if (prepared_bytes_ < kBytesWorthThreads) {
    for (size_t i = 0; i < preparations_.size(); ++i) prepare(i);
  } else {
    // Each writes to a place of its own. Those with large weights are few, so they go one by one.
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < preparations_.size(); ++i) prepare(i);
  }
  for (const size_t i : preparations_) {
    const Step& step = steps_[i];
    if (!step.prepare_status.ok()) return Annotate(step.prepare_status, step.report.label);
  }
  return absl::OkStatus();
}

absl::Status Executable::Forward(absl::Span<const InputData> inputs, uint64_t seed) {
  const InputData* data = inputs.data();
  for (size_t i = 0; i < input_types_.size(); ++i) {
    if (data[i].dtype != input_types_[i]) [[unlikely]]
      return TypeError(i, data[i].dtype);
  }
  for (const InputUse& use : input_uses_) *use.pointer = data[use.input].data;
  for (Step& step : steps_) {
    if (interrupted_ != nullptr && *interrupted_) return absl::CancelledError("interrupted");
    if (step.runs_forward) {
      MASE_RETURN_IF_ERROR(RunForward(step, seed));
    } else {
      step.args.seed = seed;
    }
  }
  return absl::OkStatus();
}

absl::Status Executable::RunBackward(Step& step) {
  if (!step.runs_backward) return absl::OkStatus();
  step.args.scratch = step.backward_scratch;
  absl::Status status = step.kernel->Backward(step.args);
  if (!status.ok()) return Annotate(status, step.report.label);
  for (const Addition& sum : step.additions) Add(sum.from, sum.to, sum.elements, sum.dtype);
  return absl::OkStatus();
}

absl::Status Executable::Backward(absl::Span<const void* const> diff_outputs) {
  for (const Seed& seed : seeds_) {
    const void* from = diff_outputs[seed.output];
    if (seed.adds) {
      Add(from, seed.to, seed.elements, seed.dtype);
    } else {
      std::memcpy(seed.to, from, static_cast<size_t>(seed.elements) * ElementSize(seed.dtype));
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

}  // namespace mase
