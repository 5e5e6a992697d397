#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/exec/chain_follower.h"
#include "mase/exec/stages.h"
#include "mase/kernel/chain_parts.h"
#include "mase/kernel/dense_chain.h"
#include "mase/kernel/exact_sums.h"
#include "mase/kernel/loss.h"

namespace mase {
namespace {

using Step = Program::Step;

class Fuser {
 public:
  Fuser(const KernelOptions& options, Program& program)
      : options_(options),
        program_(program),
        steps_(std::move(program.steps)),
        follower_(program, steps_),
        readers_(program.values.size(), 0),
        last_reader_(program.values.size(), -1),
        is_part_(steps_.size(), false) {
    program_.steps.clear();
    for (size_t i = 0; i < steps_.size(); ++i) {
      for (const Program::Operand& src : steps_[i].srcs) {
        ++readers_[src.value];
        last_reader_[src.value] = static_cast<int>(i);
      }
      for (const int tensor : steps_[i].tensors) ++readers_[tensor];
    }
    for (const auto* kept : {&program.outputs, &program.nodes}) {
      for (const Program::Operand& value : *kept) {
        if (value.value >= 0) ++readers_[value.value];
      }
    }
  }

  void Run() {
    if (program_.training && FuseWholeNet()) return;
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (is_part_[i]) continue;
      Step& step = steps_[i];
      if (FuseOnCodes(step)) {
        program_.steps.push_back(std::move(step));
        continue;
      }
      if (!program_.training && JoinChain(static_cast<int>(i))) {
        // It is one step now.
      } else if (step.op == ops::kLinear && !program_.training) {
        Join(Followers(step, {&IsRelu}), "linear_relu", step);
      } else if (step.Is(OpTrait::kBatchNorm) && !step.simulated) {
        Join(Followers(step, {&IsRelu}), "batch_norm_relu", step);
      } else if (step.Is(OpTrait::kConvolution) && !step.simulated && !program_.training &&
                 options_.folds_norms &&
                 HasKernel("conv_batch_norm", program_.desc(step.dst).dtype)) {
        Join(Followers(step, {&FoldsIntoWeights, &IsRelu}), "conv_batch_norm", step);
      }
      program_.steps.push_back(std::move(step));
    }
  }

 private:
  static bool IsRelu(const Step& step) { return step.op == ops::kRelu; }
  static bool FoldsIntoWeights(const Step& step) {
    return step.Is(OpTrait::kBatchNorm) && step.attributes.Bool("track_running_stats");
  }

  // The step that alone reads the value, as it is; -1 if there is none.
  int OnlyReader(int value) const {
    const int reader = readers_[value] == 1 ? last_reader_[value] : -1;
    if (reader < 0) return -1;
    const Program::Operand& src = steps_[reader].srcs[0];
    return src.value == value && src.shape == program_.desc(value).shape ? reader : -1;
  }

  // The steps behind `first` that are of these kinds one after the other, as far as they go.
  std::vector<int> Followers(const Step& first,
                             std::initializer_list<bool (*)(const Step&)> kinds) const {
    std::vector<int> parts;
    int value = first.dst;
    for (const auto& is_kind : kinds) {
      const int next = OnlyReader(value);
      if (next < 0 || !is_kind(steps_[next]) || steps_[next].simulated) break;
      parts.push_back(next);
      value = steps_[next].dst;
    }
    return parts;
  }

  // Whether an epilogue of integer kernels computes the step: rounding to codes and back, and what
  // is computed on numbers between a sum and that.
  bool IsEpilogue(const Step& step) const {
    if (step.on_codes) return step.kernel_name == kConvert;
    return !program_.training && !step.simulated && step.dst >= 0 &&
           program_.desc(step.dst).dtype == DType::kFloat32 &&
           (IsRelu(step) || (step.Is(OpTrait::kBatchNorm) && FoldsIntoWeights(step)));
  }

  // Makes what follows a step on codes part of it, or what leads to one: a norm and relu of numbers
  // that are encoded next. Returns whether it did.
  bool FuseOnCodes(Step& first) {
    // Where codes are chosen or moved there are no numbers to go on with.
    const bool chooses =
        first.kernel_name != kConvert && program_.desc(first.dst).codes.has_value();
    const bool starts = first.on_codes && !first.kernel_name.empty() && !chooses;
    if (!starts && !IsEpilogue(first)) return false;
    std::vector<int> parts;
    bool encodes = first.on_codes;
    for (int next = OnlyReader(first.dst); next >= 0 && IsEpilogue(steps_[next]);
         next = OnlyReader(steps_[next].dst)) {
      if (steps_[next].Is(OpTrait::kBatchNorm) && !HasChannels(first)) break;
      parts.push_back(next);
      encodes |= steps_[next].on_codes;
    }
    if (!encodes) return false;
    // What codes are rounded to is lost with the value that they were.
    std::vector<std::optional<Codes>> codes;
    for (const int part : parts) codes.push_back(steps_[part].codes);
    const std::string kernel = starts ? first.kernel_name : std::string(kConvert);
    Join(parts, kernel, first);
    first.kernel_name = kernel;
    first.on_codes = true;
    for (size_t i = 0; i < parts.size(); ++i) first.fused[i].codes = codes[i];
    return true;
  }

  // Whether the columns of what the step computes are the channels of a norm behind it.
  bool HasChannels(const Step& step) const {
    if (step.Is(OpTrait::kProduct)) return false;
    return step.op != ops::kLinear || program_.desc(step.dst).shape.rank() == 2;
  }

  bool IsDense(const Step& step) const {
    const TensorDesc& dst = program_.desc(step.dst);
    // What rounds its operands is another step. Sums that float32 has are exact in the chain's
    // order, too; of others the layer's own kernel knows how they are added.
    const bool sums_are_exact = !step.on_codes && step.sum_bits > 0 && step.sum_bits <= kFloatBits;
    return (!step.simulated || sums_are_exact) && step.schema != nullptr &&
           dst.dtype == DType::kFloat32 && dst.shape.rank() == 2 && step.srcs.size() == 1 &&
           step.srcs[0].shape.rank() == 2 &&
           IsDenseLayer(step.op, step.attributes, program_.training);
  }

  // The dense layers that begin with a step, and their residual sums, if there is one.
  Chain DenseChain(int first) const {
    // In inference results are to be those of the layers' own kernels, which round more then.
    if (!IsDense(steps_[first]) || (options_.bfloat16 && !program_.training)) return {};
    return follower_.Follow(first, is_part_, /*adds_input=*/true, [this](const Step& step) {
      const bool is_sum = step.op == ops::kAdd && !step.on_codes && !step.simulated &&
                          program_.desc(step.dst).dtype == DType::kFloat32;
      return is_sum ? ChainRole::kSum : IsDense(step) ? ChainRole::kNumbers : ChainRole::kNone;
    });
  }

  // Makes that chain one step, if it is more than one.
  bool JoinChain(int first) {
    const Chain chain = DenseChain(first);
    if (chain.steps.size() < 2) return false;
    Step& step = steps_[first];
    const auto use_slot = [&](absl::string_view op, int slot) {
      if (slot < 0) return;
      step.fused.push_back({.op = std::string(op)});
      step.fused.back().attributes.Set(kSlot, int64_t{slot});
    };
    for (const ChainLink& link : chain.links) {
      use_slot(kRecall, link.recall);
      if (link.step != first) Join({link.step}, kDenseChain, step);
      if (link.add >= 0) step.fused.back().attributes.Set(kSlot, int64_t{link.add});
      use_slot(kSave, link.save);
    }
    return true;
  }

  // A net that is one chain of dense layers, from the data to its result or its loss. The kernel
  // sums in an order of its own; a part of a net keeps the order of its layers' kernels.
  bool FuseWholeNet() {
    size_t begin = 0, picks = 0;
    while (begin < steps_.size() && steps_[begin].op == kPickRows) ++begin;
    if (begin == steps_.size() || program_.outputs.size() != 1) return false;
    for (const Step& step : steps_) picks += step.op == kPickRows;
    Step& first = steps_[begin];
    const Chain chain = DenseChain(static_cast<int>(begin));
    if (chain.saves) return false;
    std::vector<int> parts;
    if (!chain.steps.empty()) parts.assign(chain.steps.begin() + 1, chain.steps.end());
    for (const int part : parts) {
      for (const int tensor : steps_[part].tensors) {
        if (readers_[tensor] != 1) return false;  // A module called twice: gradients add up.
      }
    }
    for (const int tensor : first.tensors) {
      if (readers_[tensor] != 1) return false;
    }
    const int result = parts.empty() ? first.dst : steps_[parts.back()].dst;
    const int loss = program_.has_loss ? OnlyReader(result) : -1;
    if (program_.has_loss && (loss < 0 || steps_[loss].op != kSoftmaxCrossEntropy.op)) return false;
    if (loss >= 0) parts.push_back(loss);
    const int end = parts.empty() ? first.dst : steps_[parts.back()].dst;
    const bool is_all = IsDense(first) && picks + 1 + parts.size() == steps_.size() &&
                        program_.outputs[0].value == end && first.srcs[0].shape[0] > 0 &&
                        (begin > 0 || IsInput(first.srcs[0].value));
    if (!is_all) return false;
    if (loss >= 0) {
      first.srcs.push_back(steps_[loss].srcs[1]);
      TakePickedRows(first);
    }
    Join(parts, loss >= 0 ? kDenseChainLoss : kDenseChain, first);
    program_.steps.push_back(std::move(first));
    return true;
  }

  bool IsInput(int value) const {
    return program_.values[value].home == Program::Value::Home::kInput;
  }

  // Reads data and labels where they are picked from, and which rows.
  void TakePickedRows(Step& step) const {
    int index = -1;
    for (Program::Operand& src : step.srcs) {
      for (const Step& pick : steps_) {
        if (pick.op != kPickRows || pick.dst != src.value) continue;
        src.value = pick.srcs[0].value;
        if (pick.srcs.size() > 1) index = pick.srcs[1].value;
        break;
      }
    }
    if (index >= 0) step.srcs.push_back({index, program_.desc(index).shape});
  }

  // Makes `parts` parts of the step.
  void Join(const std::vector<int>& parts, absl::string_view kernel, Step& step) {
    if (!parts.empty()) step.kernel_name = std::string(kernel);
    for (const int part : parts) {
      is_part_[part] = true;
      Step& next = steps_[part];
      step.fused.push_back({.op = std::move(next.op),
                            .attributes = std::move(next.attributes),
                            .stream = next.stream,
                            .first_tensor = static_cast<int>(step.tensors.size()),
                            .tensors = std::move(next.tensor_names)});
      step.tensors.insert(step.tensors.end(), next.tensors.begin(), next.tensors.end());
      step.dst = next.dst;
      step.macs += next.macs;
      if (next.schema != nullptr) step.fused_labels.push_back(next.label);
      step.last_label = std::move(next.label);
    }
  }

  const KernelOptions& options_;
  Program& program_;
  std::vector<Step> steps_;
  const ChainFollower follower_;
  // By value: how often it is read, kept values once more, and by which step at last.
  std::vector<int> readers_, last_reader_;
  std::vector<bool> is_part_;  // By step.
};

}  // namespace

void Fuse(const KernelOptions& options, Program& program) { Fuser(options, program).Run(); }

}  // namespace mase
