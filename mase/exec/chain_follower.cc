#include "mase/exec/chain_follower.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace mase {
namespace {

using Step = Program::Step;

// A chain looks so far ahead for its end, looks at so many other steps that read its input, saves
// so many results, and has so many of them at a time.
constexpr size_t kMostSteps = 1024, kMostReaders = 8;
constexpr int kMostSaved = 64, kMostSlots = 8;

constexpr int kInput = -1;  // In place of a link.

}  // namespace

// A chain as it is being followed.
class ChainFollower::Walk {
 public:
  Walk(const ChainFollower& follower, int input, bool adds_input)
      : program_(follower.program_), adds_input_(adds_input), links_of_({{input, kInput}}) {}

  // Makes the step a part of the chain, if it can be one.
  bool Add(const Step& step, int number, ChainRole role) {
    const Shape& shape = program_.desc(step.dst).shape;
    if (role == ChainRole::kNone || shape.rank() != 2) return false;
    std::vector<int> links;  // Whose results it reads.
    for (const Program::Operand& src : step.srcs) {
      const auto link = links_of_.find(src.value);
      if (link == links_of_.end() || src.shape != program_.desc(src.value).shape) return false;
      links.push_back(link->second);
    }
    if (role == ChainRole::kRounds) {
      if (HasCodes(step, 0)) return false;
      links_of_[step.dst] = links[0];
      return true;
    }
    ChainLink link = {.step = number};
    if (role == ChainRole::kSum
            ? !ReadTwo(step, links, link)
            : HasCodes(step, 0) != (role == ChainRole::kCodes) || !ReadOne(links[0], link)) {
      return false;
    }
    links_of_[step.dst] = last() + 1;
    chain_.links.push_back(link);
    is_of_input_.push_back(role != ChainRole::kCodes && !HasCodes(step, 0) &&
                           IsOfInput(links[link.read]));
    return true;
  }

  // The chain as far as its first links and steps; none if too much of it is to be saved.
  Chain Take(std::vector<int> steps, size_t links) {
    chain_.steps = std::move(steps);
    chain_.links.resize(links);
    // By what it was saved as: the last link that reads it. What is read by none was saved for what
    // has not become a part.
    std::vector<int> last_reader(saved_, -1), slot_of(saved_, 0);
    for (size_t i = 0; i < links; ++i) {
      for (const int number : {chain_.links[i].recall, chain_.links[i].add}) {
        if (number >= 0) last_reader[number] = static_cast<int>(i);
        chain_.saves |= number >= 0;
      }
    }
    std::vector<int> free_from = {static_cast<int>(links)};  // By slot. The input's is never.
    for (size_t i = 0; i < links; ++i) {
      ChainLink& link = chain_.links[i];
      if (link.recall >= 0) link.recall = slot_of[link.recall];
      if (link.add >= 0) link.add = slot_of[link.add];
      if (link.save < 0) continue;
      const int number = link.save;
      link.save = -1;
      if (last_reader[number] < 0) continue;
      const auto is_free = [i](int from) { return from < static_cast<int>(i); };
      const auto slot = std::find_if(free_from.begin() + 1, free_from.end(), is_free);
      link.save = slot_of[number] = static_cast<int>(slot - free_from.begin());
      if (slot == free_from.end()) free_from.push_back(0);
      free_from[link.save] = last_reader[number];
    }
    return free_from.size() > kMostSlots ? Chain() : std::move(chain_);
  }

  size_t links() const { return chain_.links.size(); }

 private:
  // Whether it is the input, or computed of it before any product or rounding.
  bool IsOfInput(int link) const { return link == kInput || is_of_input_[link]; }

  int last() const { return static_cast<int>(chain_.links.size()) - 1; }
  bool HasCodes(const Step& step, int src) const {
    return program_.desc(step.srcs[src].value).codes.has_value();
  }

  bool ReadOne(int from, ChainLink& link) {
    if (from == last()) return true;  // Or both are the input.
    link.recall = Save(from);
    return link.recall < kMostSaved;
  }

  // What the last link computes, and what is saved of an earlier one.
  bool ReadTwo(const Step& step, const std::vector<int>& links, ChainLink& link) {
    if (links.size() != 2 || last() < 0 || HasCodes(step, 0) != HasCodes(step, 1)) return false;
    if (step.srcs[0].shape != step.srcs[1].shape) return false;
    link.read = links[0] == last() ? 0 : 1;
    const int added = links[1 - link.read];
    if (links[link.read] != last() || added == last()) return false;
    if (!HasCodes(step, 0) && !adds_input_ && IsOfInput(added)) return false;
    link.add = Save(added);
    return link.add < kMostSaved;
  }

  // The number under which a link's result is saved, which it gets one for.
  int Save(int link) {
    if (link == kInput) return 0;
    int& number = chain_.links[link].save;
    if (number < 0) number = saved_++;
    return number;
  }

  const Program& program_;
  const bool adds_input_;
  Chain chain_;
  std::map<int, int> links_of_;    // By value: the link that computes its numbers.
  std::vector<bool> is_of_input_;  // By link.
  int saved_ = 1;
};

ChainFollower::ChainFollower(const Program& program, const std::vector<Step>& steps)
    : program_(program),
      steps_(steps),
      readers_(program.values.size()),
      is_kept_(program.values.size(), false) {
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const Program::Operand& src : steps[i].srcs) {
      readers_[src.value].push_back(static_cast<int>(i));
    }
    for (const int tensor : steps[i].tensors) readers_[tensor].push_back(static_cast<int>(i));
  }
  for (const auto* kept : {&program.outputs, &program.nodes}) {
    for (const Program::Operand& value : *kept) {
      if (value.value >= 0) is_kept_[value.value] = true;
    }
  }
}

Chain ChainFollower::Follow(int first, const std::vector<bool>& is_part, bool adds_input,
                            absl::FunctionRef<ChainRole(const Step&)> role) const {
  if (steps_[first].srcs.size() != 1) return {};
  // Other steps that read the input may be part of the chain, or keep it from its end.
  const std::vector<int>& all = readers_[steps_[first].srcs[0].value];
  std::vector<int> readers(std::upper_bound(all.begin(), all.end(), first), all.end());
  if (readers.size() > kMostReaders) readers.resize(kMostReaders);
  Chain chain = FollowWith(first, readers, is_part, adds_input, role);
  if (readers.empty()) return chain;
  Chain alone = FollowWith(first, {}, is_part, adds_input, role);
  return alone.steps.size() > chain.steps.size() ? std::move(alone) : std::move(chain);
}

Chain ChainFollower::FollowWith(int first, const std::vector<int>& readers,
                                const std::vector<bool>& is_part, bool adds_input,
                                absl::FunctionRef<ChainRole(const Step&)> role) const {
  const int input = steps_[first].srcs[0].value;
  Walk walk(*this, input, adds_input);
  std::set<int> next(readers.begin(), readers.end());  // Steps that read what the chain has.
  next.insert(first);
  std::map<int, size_t> waiting;  // Values that they read, by how often that is to come.
  std::vector<int> steps;
  size_t length = 0, links = 0;  // Of the last place at which it can end.
  while (!next.empty() && steps.size() < kMostSteps) {
    const int i = *next.begin();
    const Step& step = steps_[i];
    next.erase(next.begin());
    if (is_part[i] || !walk.Add(step, i, role(step))) {
      const bool reads_input = std::all_of(step.srcs.begin(), step.srcs.end(),
                                           [&](const auto& src) { return src.value == input; });
      if (reads_input && !steps.empty()) continue;
      break;
    }
    steps.push_back(i);
    for (const Program::Operand& src : step.srcs) {
      const auto value = waiting.find(src.value);
      if (value != waiting.end() && --value->second == 0) waiting.erase(value);
    }
    if (waiting.empty() && !program_.desc(step.dst).codes.has_value()) {
      length = steps.size();
      links = walk.links();
    }
    if (is_kept_[step.dst]) break;  // No end lies behind it.
    if (!readers_[step.dst].empty()) waiting[step.dst] = readers_[step.dst].size();
    next.insert(readers_[step.dst].begin(), readers_[step.dst].end());
  }
  steps.resize(length);
  return walk.Take(std::move(steps), links);
}

}  // namespace mase
