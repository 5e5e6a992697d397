#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "mase/exec/chain_follower.h"
#include "mase/exec/stages.h"
#include "mase/kernel/integer/chain.h"

namespace mase {
namespace {

using Step = Program::Step;
using Parts = std::vector<IntegerChainPart>;

class ChainFuser {
 public:
  explicit ChainFuser(Program& program)
      : program_(program),
        steps_(std::move(program.steps)),
        follower_(program, steps_),
        is_part_(steps_.size(), false) {
    program_.steps.clear();
  }

  void Run() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (is_part_[i]) continue;
      const Chain chain = Follow(static_cast<int>(i));
      if (!chain.steps.empty()) Join(chain);
      program_.steps.push_back(std::move(steps_[i]));
    }
  }

 private:
  // From a step that turns rows of numbers into codes, over linear layers on codes.
  Chain Follow(int first) const {
    const Step& begin = steps_[first];
    if (!IsConvert(begin)) return {};
    const TensorDesc& input = program_.desc(begin.srcs[0].value);
    if (input.codes.has_value() || input.dtype != DType::kFloat32) return {};
    Chain chain = follower_.Follow(first, is_part_, /*adds_input=*/false,
                                   [this](const Step& step) { return RoleOf(step); });
    const bool multiplies =
        absl::c_any_of(chain.steps, [this](int step) { return steps_[step].op == ops::kLinear; });
    return multiplies ? std::move(chain) : Chain();
  }

  static bool IsConvert(const Step& step) { return step.on_codes && step.kernel_name == kConvert; }

  ChainRole RoleOf(const Step& step) const {
    for (const IntegerChainPart& part : PartsOf(step, 0)) {
      if (part.op.op == ops::kLinear && !ServesIntegerChain(part)) return ChainRole::kNone;
      if (part.op.codes.has_value() && !ServesIntegerChain(*part.op.codes)) return ChainRole::kNone;
    }
    if (IsConvert(step)) {
      return step.op == kEncode && step.fused.empty() ? ChainRole::kRounds : ChainRole::kNumbers;
    }
    if (step.kernel_name == "integer_linear") return ChainRole::kCodes;
    // What is not on codes has the chain's arithmetic where it is of float32 numbers.
    const bool is_plain =
        !step.simulated && step.fused.empty() && program_.desc(step.dst).dtype == DType::kFloat32;
    if (step.op == ops::kAdd && (step.on_codes || is_plain)) {
      const bool serves = absl::c_all_of(step.srcs, [this](const Program::Operand& src) {
        const std::optional<Codes>& codes = program_.desc(src.value).codes;
        return !codes.has_value() || ServesIntegerChain(*codes);
      });
      return serves ? ChainRole::kSum : ChainRole::kNone;
    }
    return step.op == ops::kRelu && is_plain ? ChainRole::kNumbers : ChainRole::kNone;
  }

  // The step's ops, whose tensors are the step's own. It is the chain's `place`th.
  Parts PartsOf(const Step& step, int place) const {
    Parts parts(1);
    parts[0].op = {.op = step.op,
                   .attributes = step.attributes,
                   .tensors = step.tensor_names,
                   .codes = step.codes};
    if (step.op == ops::kLinear) {
      parts[0].src = program_.desc(step.srcs[0].value).codes;
      parts[0].weight = step.weight;
    }
    for (const FusedOp& fused : step.fused) parts.push_back({.op = fused});
    for (IntegerChainPart& part : parts) part.label = step.label, part.step = place;
    return parts;
  }

  // What a link adds to the chain.
  Parts PartsOf(const ChainLink& link, int place) const {
    const Step& step = steps_[link.step];
    Parts parts = PartsOf(step, place);
    const auto insert = [&](Parts::iterator at, absl::string_view op, int slot) {
      IntegerChainPart part = {.op = {.op = std::string(op)}, .step = place, .label = step.label};
      part.slot = slot;
      return parts.insert(at, std::move(part));
    };
    if (link.save >= 0) {
      insert(parts.back().op.op == kEncode ? parts.end() - 1 : parts.end(), kSave, link.save);
    }
    if (link.add >= 0) {
      const auto codes = [&](int src) { return program_.desc(step.srcs[src].value).codes; };
      parts[0].slot = link.add;
      parts[0].src = codes(1 - link.read);
      if (parts[0].src.has_value()) {
        insert(parts.begin(), kEncode, -1)->op.codes = codes(link.read);
      }
    }
    if (link.recall >= 0) insert(parts.begin(), kRecall, link.recall);
    return parts;
  }

  void Join(const Chain& chain) {
    Step& first = steps_[chain.steps[0]];
    const Shape rows = first.srcs[0].shape;
    // Before steps lose what they are.
    std::vector<Parts> parts_of(chain.links.size());
    std::vector<int> first_tensors;
    for (size_t i = 0; i < chain.links.size(); ++i) {
      const auto place = absl::c_find(chain.steps, chain.links[i].step) - chain.steps.begin();
      parts_of[i] = PartsOf(chain.links[i], static_cast<int>(place));
    }
    for (const int i : chain.steps) first.parts.push_back(program_.Describe(steps_[i]));
    for (const int i : chain.steps) {
      Step& step = steps_[i];
      const bool is_first = i == chain.steps[0];
      first_tensors.push_back(is_first ? 0 : static_cast<int>(first.tensors.size()));
      if (is_first) continue;
      is_part_[i] = true;
      first.tensors.insert(first.tensors.end(), step.tensors.begin(), step.tensors.end());
      first.dst = step.dst;
      first.macs += step.macs;
      if (step.schema != nullptr) first.fused_labels.push_back(step.label);
      absl::c_move(step.fused_labels, std::back_inserter(first.fused_labels));
      first.last_label = step.label;
    }
    Parts parts;
    for (Parts& of_link : parts_of) {
      for (IntegerChainPart& part : of_link) {
        part.op.first_tensor += first_tensors[part.step];
        parts.push_back(std::move(part));
      }
    }
    first.kernel_name = std::string(kIntegerChain);
    first.fused.clear();
    for (const IntegerChainPart& part : parts) first.fused.push_back(part.op);
    std::unique_ptr<IntegerChainKernel> kernel =
        MakeIntegerChain(rows[0], rows[1], std::move(parts));
    first.chain = kernel.get();
    first.kernel = std::move(kernel);
  }

  Program& program_;
  std::vector<Step> steps_;
  const ChainFollower follower_;
  std::vector<bool> is_part_;  // By step.
};

}  // namespace

void FuseIntegerChains(Program& program) { ChainFuser(program).Run(); }

}  // namespace mase
