#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/exec/stages.h"

namespace mase {
namespace {

using Step = Program::Step;

class Fuser {
 public:
  explicit Fuser(Program& program)
      : program_(program),
        steps_(std::move(program.steps)),
        readers_(program.values.size(), 0),
        last_reader_(program.values.size(), -1) {
    program_.steps.clear();
    for (size_t i = 0; i < steps_.size(); ++i) {
      for (const Program::Operand& src : steps_[i].srcs) {
        ++readers_[src.value];
        last_reader_[src.value] = static_cast<int>(i);
      }
    }
    for (const auto* kept : {&program.outputs, &program.nodes}) {
      for (const Program::Operand& value : *kept) {
        if (value.value >= 0) ++readers_[value.value];
      }
    }
  }

  void Run() {
    std::vector<bool> is_part(steps_.size(), false);
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (is_part[i]) continue;
      Step& step = steps_[i];
      for (const int part : Parts(step)) {
        is_part[part] = true;
        Join(steps_[part], step);
      }
      if (!step.fused.empty()) step.op = FusedName(step);
      program_.steps.push_back(std::move(step));
    }
  }

 private:
  static std::string FusedName(const Step& first) {
    if (first.Is(OpTrait::kConvolution)) return "conv_batch_norm";
    return first.Is(OpTrait::kBatchNorm) ? "batch_norm_relu" : "linear_relu";
  }

  // The steps that `first` takes in.
  std::vector<int> Parts(const Step& first) const {
    if (first.op == ops::kLinear && !program_.training) return Chain(first, {&IsRelu});
    if (first.simulated) return {};
    if (first.Is(OpTrait::kBatchNorm)) return Chain(first, {&IsRelu});
    if (first.Is(OpTrait::kConvolution) && !program_.training &&
        HasKernel("conv_batch_norm", program_.desc(first.dst).dtype)) {
      return Chain(first, {&FoldsIntoWeights, &IsRelu});
    }
    return {};
  }

  static bool IsRelu(const Step& step) { return step.op == ops::kRelu; }
  static bool FoldsIntoWeights(const Step& step) {
    return step.Is(OpTrait::kBatchNorm) && step.attributes.Bool("track_running_stats");
  }

  // The steps behind `first` that are of these kinds one after the other, as far as they go.
  std::vector<int> Chain(const Step& first,
                         std::initializer_list<bool (*)(const Step&)> kinds) const {
    std::vector<int> parts;
    int value = first.dst;
    for (const auto& is_kind : kinds) {
      const int next = readers_[value] == 1 ? last_reader_[value] : -1;
      if (next < 0) break;
      const Step& step = steps_[next];
      const bool on_the_value_itself =
          step.srcs[0].value == value && step.srcs[0].shape == program_.desc(value).shape;
      if (!is_kind(step) || step.simulated || !on_the_value_itself) break;
      parts.push_back(next);
      value = step.dst;
    }
    return parts;
  }

  void Join(Step& next, Step& step) const {
    step.fused.push_back({.op = std::move(next.op),
                          .attributes = std::move(next.attributes),
                          .stream = next.stream,
                          .dst = program_.desc(next.dst).shape,
                          .first_tensor = static_cast<int>(step.tensors.size()),
                          .tensors = std::move(next.tensor_names)});
    step.tensors.insert(step.tensors.end(), next.tensors.begin(), next.tensors.end());
    step.dst = next.dst;
  }

  Program& program_;
  std::vector<Step> steps_;
  // By value: how often it is read, kept values once more, and by which step at last.
  std::vector<int> readers_, last_reader_;
};

}  // namespace

void Fuse(Program& program) { Fuser(program).Run(); }

}  // namespace mase
