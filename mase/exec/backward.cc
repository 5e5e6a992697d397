#include <string>
#include <vector>

#include "mase/exec/stages.h"

namespace mase {
namespace {

using Step = Program::Step;

class BackwardPlanner {
 public:
  explicit BackwardPlanner(Program& program) : program_(program) {}

  void Run() {
    FindReaders();
    for (size_t i = 0; !program_.has_loss && i < program_.outputs.size(); ++i) {
      Program::Value& value = program_.values[program_.outputs[i].value];
      if (!value.needs_gradient) continue;
      program_.seeds.push_back({static_cast<int>(i), value.has_gradient});
      value.has_gradient = true;
    }
    for (std::vector<Step>* steps : {&program_.steps, &program_.prepare}) {
      for (auto step = steps->rbegin(); step != steps->rend(); ++step) PlanStep(*step);
    }
  }

 private:
  void FindReaders() {
    only_reader_.assign(program_.values.size(), nullptr);
    std::vector<int> readers(program_.values.size(), 0);
    for (const Step& step : program_.steps) {
      for (const Program::Operand& src : step.srcs) {
        only_reader_[src.value] = ++readers[src.value] == 1 ? &step : nullptr;
      }
    }
  }

  void PlanStep(Step& step) {
    const Program::Value& dst = program_.values[step.dst];
    step.runs_backward = step.kernel->turns() || (dst.has_gradient && dst.needs_gradient);
    step.src_gradients.resize(step.srcs.size());
    step.tensor_gradients.resize(step.tensors.size());
    if (!step.runs_backward) return;
    for (size_t i = 0; i < step.srcs.size(); ++i) {
      step.src_gradients[i] = Want(step.srcs[i].value);
    }
    for (size_t i = 0; i < step.tensors.size(); ++i) {
      if (BiasIsLost(step, static_cast<int>(i))) continue;
      step.tensor_gradients[i] = Want(step.tensors[i]);
    }
  }

  Program::Gradient Want(int id) {
    Program::Value& value = program_.values[id];
    if (!value.needs_gradient) return {};
    const Program::Gradient gradient = {.wanted = true, .adds = value.has_gradient};
    value.has_gradient = true;
    return gradient;
  }

  // Whether a tensor of the step is a bias whose sums go into a batch norm and nowhere else.
  bool BiasIsLost(const Step& step, int tensor) const {
    // The op that owns the tensor, 0 being the first, and the one behind it.
    size_t part = 0;
    for (size_t i = 0; i < step.fused.size(); ++i) {
      if (step.fused[i].first_tensor <= tensor) part = i + 1;
    }
    while (part > 0 && step.fused[part - 1].tensors.empty()) --part;
    const std::string& name =
        part == 0 ? step.tensor_names[tensor]
                  : step.fused[part - 1].tensors[tensor - step.fused[part - 1].first_tensor];
    const OpSchema* owner = part == 0 ? step.schema : FindOp(step.fused[part - 1].op);
    if (name != operands::kBias || owner == nullptr || !owner->Is(OpTrait::kBiasLostBeforeNorm)) {
      return false;
    }
    if (part < step.fused.size()) return IsBatchNorm(FindOp(step.fused[part].op));
    const Step* reader = only_reader_[step.dst];
    return reader != nullptr && !program_.values[step.dst].stays && IsBatchNorm(reader->schema);
  }

  static bool IsBatchNorm(const OpSchema* schema) {
    return schema != nullptr && schema->Is(OpTrait::kBatchNorm);
  }

  Program& program_;
  std::vector<const Step*> only_reader_;  // By value; null of several.
};

}  // namespace

void PlanBackward(Program& program) { BackwardPlanner(program).Run(); }

}  // namespace mase
