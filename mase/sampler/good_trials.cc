#include "mase/sampler/good_trials.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "absl/algorithm/container.h"

namespace mase {

void GoodTrials::Update(const TrialHistory& history) {
  if (history.id() != history_) {
    history_ = history.id();
    arrivals_ = count_ = 0;
    entries_.clear();
  }
  const bool changed = arrivals_ < history.arrivals().size();
  for (; arrivals_ < history.arrivals().size(); ++arrivals_) {
    const Trial& trial = history.arrivals()[arrivals_];
    if (trial.state == TrialState::kFailed) continue;
    ++count_;
    const double violation = Violation(trial);
    if (violation > 0) {
      entries_.push_back({&trial, 2, {violation}});
    } else if (trial.state == TrialState::kComplete) {
      entries_.push_back({&trial, 0, Losses(trial, directions_)});
    } else if (!trial.intermediate.empty()) {
      const auto& [step, value] = *trial.intermediate.rbegin();
      const bool minimize = directions_[0] == Direction::kMinimize;
      entries_.push_back({&trial, 1, {-static_cast<double>(step), minimize ? value : -value}});
    } else {
      entries_.push_back({&trial, 1, {1, 0}});
    }
    // Of a long history that is new here, what cannot matter is dropped on the way.
    if (entries_.size() >= 64 * capacity_) Reduce();
  }
  if (changed) Reduce();
}

void GoodTrials::Reduce() {
  std::vector<size_t> complete;
  std::vector<LossRow> losses;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].group != 0) continue;
    complete.push_back(i);
    losses.push_back(entries_[i].keys);
  }
  std::vector<int> ranks(entries_.size(), 0);
  const std::vector<int> complete_ranks = NonDominatedRanks(losses);
  for (size_t i = 0; i < complete.size(); ++i) ranks[complete[i]] = complete_ranks[i];

  std::vector<size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  absl::c_sort(order, [&](size_t a, size_t b) {
    const Entry &x = entries_[a], &y = entries_[b];
    return std::tie(x.group, ranks[a], x.keys, x.trial->number) <
           std::tie(y.group, ranks[b], y.keys, y.trial->number);
  });
  // The first `capacity_`, and all of the rank that the last of them has.
  size_t kept = std::min(capacity_, order.size());
  while (kept > 0 && kept < order.size() && entries_[order[kept]].group == 0 &&
         directions_.size() > 1 && ranks[order[kept]] == ranks[order[kept - 1]]) {
    ++kept;
  }
  std::vector<Entry> entries;
  ranks_.clear();
  for (size_t i = 0; i < kept; ++i) {
    entries.push_back(std::move(entries_[order[i]]));
    ranks_.push_back(ranks[order[i]]);
  }
  entries_ = std::move(entries);
}

std::vector<const Trial*> GoodTrials::Best(size_t count) const {
  count = std::min(count, entries_.size());
  std::vector<const Trial*> best;
  size_t begin = 0;
  while (best.size() < count) {
    size_t end = begin + 1;
    while (end < entries_.size() && entries_[begin].group == 0 && entries_[end].group == 0 &&
           ranks_[end] == ranks_[begin]) {
      ++end;
    }
    const size_t wanted = std::min(count - best.size(), end - begin);
    std::vector<size_t> chosen(wanted);
    std::iota(chosen.begin(), chosen.end(), size_t{0});
    if (wanted < end - begin && directions_.size() > 1) {
      std::vector<LossRow> losses;
      for (size_t i = begin; i < end; ++i) losses.push_back(entries_[i].keys);
      chosen = GreedyHypervolumeSubset(losses, wanted, ReferenceBeyond(losses));
    }
    for (size_t i : chosen) best.push_back(entries_[begin + i].trial);
    begin = end;
  }
  absl::c_sort(best, [](const Trial* a, const Trial* b) { return a->number < b->number; });
  return best;
}

LossRow ReferenceBeyond(absl::Span<const LossRow> losses) {
  LossRow reference = losses[0];
  for (const LossRow& row : losses) {
    for (size_t i = 0; i < row.size(); ++i) reference[i] = std::max(reference[i], row[i]);
  }
  for (double& value : reference) {
    value = std::max(1.1 * value, 0.9 * value);
    if (value == 0) value = 1e-12;
  }
  return reference;
}

}  // namespace mase
