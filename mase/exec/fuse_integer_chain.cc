#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "mase/exec/stages.h"
#include "mase/kernel/integer/chain.h"

namespace mase {
namespace {

using Step = Program::Step;

class ChainFuser {
 public:
  explicit ChainFuser(Program& program)
      : program_(program),
        steps_(std::move(program.steps)),
        readers_(program.values.size(), 0),
        last_reader_(program.values.size(), -1),
        is_part_(steps_.size(), false) {
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
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (is_part_[i]) continue;
      const std::vector<int> chain = ChainFrom(static_cast<int>(i));
      if (!chain.empty()) Join(chain);
      program_.steps.push_back(std::move(steps_[i]));
    }
  }

 private:
  // A step that turns rows of numbers into codes, and the linear layers behind it as far as numbers
  // again; empty if that is not what begins here.
  std::vector<int> ChainFrom(int first) const {
    const Step& begin = steps_[first];
    const TensorDesc& src = program_.desc(begin.srcs[0].value);
    if (!begin.on_codes || begin.kernel_name != kConvert || src.codes.has_value() ||
        src.dtype != DType::kFloat32 || src.shape != begin.srcs[0].shape || !Serves(begin)) {
      return {};
    }
    std::vector<int> chain = {first};
    while (program_.desc(steps_[chain.back()].dst).codes.has_value()) {
      const int value = steps_[chain.back()].dst;
      const int next = readers_[value] == 1 ? last_reader_[value] : -1;
      if (next < 0 || steps_[next].kernel_name != "integer_linear" ||
          steps_[next].srcs[0].shape != program_.desc(value).shape || !Serves(steps_[next])) {
        return {};
      }
      chain.push_back(next);
    }
    return chain.size() > 1 ? chain : std::vector<int>();
  }

  bool Serves(const Step& step) const {
    if (program_.desc(step.dst).shape.rank() != 2) return false;
    for (const IntegerChainPart& part : PartsOf(step, 0)) {
      if (part.op.op == ops::kLinear && !ServesIntegerChain(part)) return false;
      if (part.op.codes.has_value() && !ServesIntegerChain(*part.op.codes)) return false;
    }
    return true;
  }

  // The step's ops; its tensors are the kernel's from `first_tensor` on.
  std::vector<IntegerChainPart> PartsOf(const Step& step, int first_tensor) const {
    std::vector<IntegerChainPart> parts(1);
    parts[0].op = {.op = step.op,
                   .attributes = step.attributes,
                   .first_tensor = first_tensor,
                   .tensors = step.tensor_names,
                   .codes = step.codes};
    if (step.op == ops::kLinear) {
      parts[0].src = program_.desc(step.srcs[0].value).codes;
      parts[0].weight = step.weight;
    }
    for (const FusedOp& fused : step.fused) {
      parts.push_back({.op = fused});
      parts.back().op.first_tensor += first_tensor;
    }
    for (IntegerChainPart& part : parts) part.label = step.label;
    return parts;
  }

  void Join(const std::vector<int>& chain) {
    std::vector<IntegerChainPart> parts;
    Step& first = steps_[chain[0]];
    const Shape rows = first.srcs[0].shape;
    for (const int i : chain) first.parts.push_back(program_.Describe(steps_[i]));
    for (const int i : chain) {
      Step& step = steps_[i];
      const int first_tensor = i == chain[0] ? 0 : static_cast<int>(first.tensors.size());
      for (IntegerChainPart& part : PartsOf(step, first_tensor)) parts.push_back(std::move(part));
      if (i == chain[0]) continue;
      is_part_[i] = true;
      first.tensors.insert(first.tensors.end(), step.tensors.begin(), step.tensors.end());
      first.dst = step.dst;
      first.macs += step.macs;
      first.fused_labels.push_back(step.label);
      absl::c_move(step.fused_labels, std::back_inserter(first.fused_labels));
      first.last_label = step.label;
    }
    first.kernel_name = std::string(kIntegerChain);
    first.fused.clear();
    for (size_t i = 1; i < parts.size(); ++i) first.fused.push_back(parts[i].op);
    std::unique_ptr<IntegerChainKernel> kernel =
        MakeIntegerChain(rows[0], rows[1], std::move(parts));
    first.chain = kernel.get();
    first.kernel = std::move(kernel);
  }

  Program& program_;
  std::vector<Step> steps_;
  std::vector<int> readers_, last_reader_;  // By value; kept values are read once more.
  std::vector<bool> is_part_;               // By step.
};

}  // namespace

void FuseIntegerChains(Program& program) { ChainFuser(program).Run(); }

}  // namespace mase
