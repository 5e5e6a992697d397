#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "mase/exec/stages.h"
#include "mase/kernel/integer/chain.h"

namespace mase {
namespace {

using Step = Program::Step;
using Parts = std::vector<IntegerChainPart>;

// A chain looks so far ahead for its end, and saves so many results.
constexpr int kMostSteps = 1024;
constexpr int kMostSlots = 8;

// Where the numbers of a value come from: a link of the chain, or its input; as they are, or
// rounded to codes.
struct Origin {
  static constexpr int kInput = -1;
  int link = kInput;
  std::optional<Codes> codes;
};

// What a step adds to the chain. Roundings of what is there add nothing by themselves: whoever
// reads them rounds.
struct Link {
  Parts parts;
  int slot = -1;  // Where its result is saved, if it is.
};

class ChainFuser {
 public:
  explicit ChainFuser(Program& program)
      : program_(program),
        steps_(std::move(program.steps)),
        readers_(program.values.size()),
        is_kept_(program.values.size(), false),
        is_part_(steps_.size(), false) {
    program_.steps.clear();
    for (size_t i = 0; i < steps_.size(); ++i) {
      for (const Program::Operand& src : steps_[i].srcs) {
        readers_[src.value].push_back(static_cast<int>(i));
      }
    }
    for (const auto* kept : {&program.outputs, &program.nodes}) {
      for (const Program::Operand& value : *kept) {
        if (value.value >= 0) is_kept_[value.value] = true;
      }
    }
  }

  void Run() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (is_part_[i]) continue;
      Follow(static_cast<int>(i));
      if (!chain_.empty()) Join();
      program_.steps.push_back(std::move(steps_[i]));
    }
  }

 private:
  // Follows what begins at a step, to the last place at which it is a chain: from a step that turns
  // rows of numbers into codes, over linear layers on codes and what is read by no other step, to
  // one result, which is numbers again. `chain_` is then its steps, else it is empty.
  void Follow(int first) {
    chain_.clear();
    links_.clear();
    slots_ = 1;
    const Step& begin = steps_[first];
    const int input = begin.srcs.empty() ? -1 : begin.srcs[0].value;
    if (!begin.on_codes || begin.kernel_name != kConvert ||
        program_.desc(input).codes.has_value() || program_.desc(input).dtype != DType::kFloat32) {
      return;
    }
    origins_ = {{input, Origin()}};
    // Steps that read what the chain has; of those that read its input some, who may add it later.
    std::set<int> next = {first};
    for (const int reader : readers_[input]) {
      if (reader > first && static_cast<int>(next.size()) < kMostSlots) next.insert(reader);
    }
    std::map<int, size_t> waiting;  // Values that they read, by how often that is to come.
    std::vector<int> steps;
    size_t length = 0, links = 0;  // Of the last chain.
    bool has_product = false;
    while (!next.empty() && static_cast<int>(steps.size()) < kMostSteps) {
      const int i = *next.begin();
      const Step& step = steps_[i];
      next.erase(next.begin());
      if (is_part_[i] || !Add(step, static_cast<int>(steps.size()))) {
        if (absl::c_all_of(step.srcs, [&](const auto& src) { return src.value == input; }))
          continue;
        break;
      }
      steps.push_back(i);
      has_product |= step.op == ops::kLinear;
      for (const Program::Operand& src : step.srcs) {
        const auto value = waiting.find(src.value);
        if (value != waiting.end() && --value->second == 0) waiting.erase(value);
      }
      const bool is_end = waiting.empty() && !program_.desc(step.dst).codes.has_value();
      const size_t reads = readers_[step.dst].size() + (is_kept_[step.dst] ? 1 : 0);
      if (reads > 0) waiting[step.dst] = reads;
      next.insert(readers_[step.dst].begin(), readers_[step.dst].end());
      if (is_end && has_product) length = steps.size(), links = links_.size();
    }
    steps.resize(length);
    links_.resize(links);
    chain_ = std::move(steps);
  }

  // Makes the step, the `place`th, a part of the chain, if it can be one.
  bool Add(const Step& step, int place) {
    const Shape& shape = program_.desc(step.dst).shape;
    if (shape.rank() != 2) return false;
    std::vector<Origin> srcs;
    for (const Program::Operand& src : step.srcs) {
      const auto origin = origins_.find(src.value);
      if (origin == origins_.end() || src.shape != program_.desc(src.value).shape) return false;
      srcs.push_back(origin->second);
    }
    Link link = {.parts = PartsOf(step, place)};
    for (const IntegerChainPart& part : link.parts) {
      if (part.op.op == ops::kLinear && !ServesIntegerChain(part)) return false;
      if (part.op.codes.has_value() && !ServesIntegerChain(*part.op.codes)) return false;
    }
    const bool is_convert = step.on_codes && step.kernel_name == kConvert;
    if (is_convert && step.op == kEncode && step.fused.empty() && !srcs[0].codes.has_value()) {
      origins_[step.dst] = {srcs[0].link, program_.desc(step.dst).codes};
      return true;
    }
    if (step.op == ops::kAdd && srcs.size() == 2) {
      if (!AddSaved(step, shape, srcs, link)) return false;
    } else if (is_convert || step.kernel_name == "integer_linear" || IsOfNumbers(step)) {
      if (!Read(srcs[0], step.op == ops::kLinear, link)) return false;
    } else {
      return false;
    }
    origins_[step.dst] = {static_cast<int>(links_.size()), program_.desc(step.dst).codes};
    links_.push_back(std::move(link));
    return true;
  }

  // Whether the step is of float32 numbers, and has the chain's arithmetic.
  bool IsOfNumbers(const Step& step) const {
    return !step.simulated && step.fused.empty() && step.op == ops::kRelu &&
           program_.desc(step.dst).dtype == DType::kFloat32;
  }

  // Lets the link go on from there. A product rounds what it reads by itself.
  bool Read(const Origin& src, bool rounds, Link& link) {
    if (src.codes.has_value() && !rounds) return false;
    if (src.link + 1 == static_cast<int>(links_.size())) return true;
    IntegerChainPart recall = {.op = {.op = std::string(kRecall)}, .step = link.parts[0].step};
    recall.label = link.parts[0].label;
    recall.slot = SlotOf(src.link);
    link.parts.insert(link.parts.begin(), std::move(recall));
    return recall.slot < kMostSlots;
  }

  // Lets the link, an "add", add what an earlier link has saved to the result of the last one.
  bool AddSaved(const Step& step, const Shape& shape, const std::vector<Origin>& srcs, Link& link) {
    const int last = static_cast<int>(links_.size()) - 1;
    const bool first_is_last = srcs[0].link == last;
    const Origin &numbers = srcs[first_is_last ? 0 : 1], &saved = srcs[first_is_last ? 1 : 0];
    const bool adds_codes = numbers.codes.has_value();
    if (numbers.link != last || saved.link == last || last < 0) return false;
    if (saved.codes.has_value() != adds_codes || step.on_codes != adds_codes) return false;
    // A NaN of the input is found as the input becomes codes.
    if (saved.link == Origin::kInput && !adds_codes) return false;
    if (!adds_codes && (step.simulated || program_.desc(step.dst).dtype != DType::kFloat32)) {
      return false;
    }
    for (const Program::Operand& src : step.srcs) {
      if (src.shape != shape) return false;
    }
    IntegerChainPart& add = link.parts[0];
    add.src = saved.codes;
    add.slot = SlotOf(saved.link);
    if (add.slot >= kMostSlots) return false;
    if (adds_codes) {
      IntegerChainPart encode = {.op = {.op = std::string(kEncode)}, .step = add.step};
      encode.label = add.label;
      encode.op.codes = numbers.codes;
      if (!ServesIntegerChain(*numbers.codes) || !ServesIntegerChain(*saved.codes)) return false;
      link.parts.insert(link.parts.begin(), std::move(encode));
    }
    return true;
  }

  // The slot of a link's result, which it gets one for; before it is rounded.
  int SlotOf(int number) {
    if (number == Origin::kInput) return 0;
    Link& link = links_[number];
    if (link.slot >= 0) return link.slot;
    link.slot = slots_++;
    auto at = link.parts.end();
    if (std::prev(at)->op.op == kEncode) --at;
    IntegerChainPart save = {.op = {.op = std::string(kSave)}, .step = link.parts[0].step};
    save.label = link.parts[0].label;
    save.slot = link.slot;
    link.parts.insert(at, std::move(save));
    return link.slot;
  }

  // The step's ops, whose tensors are the step's own.
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

  void Join() {
    Step& first = steps_[chain_[0]];
    const Shape rows = first.srcs[0].shape;
    std::vector<int> first_tensors;
    for (const int i : chain_) first.parts.push_back(program_.Describe(steps_[i]));
    for (const int i : chain_) {
      Step& step = steps_[i];
      first_tensors.push_back(i == chain_[0] ? 0 : static_cast<int>(first.tensors.size()));
      if (i == chain_[0]) continue;
      is_part_[i] = true;
      first.tensors.insert(first.tensors.end(), step.tensors.begin(), step.tensors.end());
      first.dst = step.dst;
      first.macs += step.macs;
      if (step.schema != nullptr) first.fused_labels.push_back(step.label);
      absl::c_move(step.fused_labels, std::back_inserter(first.fused_labels));
      first.last_label = step.label;
    }
    std::set<int> read;  // Slots. Others were for what has not become a part.
    for (const Link& link : links_) {
      for (const IntegerChainPart& part : link.parts) {
        if (part.op.op != kSave) read.insert(part.slot);
      }
    }
    Parts parts;
    for (Link& link : links_) {
      for (IntegerChainPart& part : link.parts) {
        if (part.op.op == kSave && !read.contains(part.slot)) continue;
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
  std::vector<std::vector<int>> readers_;  // By value: the steps that read it, in their order.
  std::vector<bool> is_kept_;              // By value: is read after the call, too.
  std::vector<bool> is_part_;              // By step.

  // Of what is followed: its steps, what they add, and where the values that it has come from.
  std::vector<int> chain_;
  std::vector<Link> links_;
  std::map<int, Origin> origins_;
  int slots_ = 1;  // The input's is the first.
};

}  // namespace

void FuseIntegerChains(Program& program) { ChainFuser(program).Run(); }

}  // namespace mase
