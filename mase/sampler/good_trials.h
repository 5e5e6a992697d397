// The best trials of a history, kept up to date as it grows: what TPE calls the good ones.
#ifndef MASE_SAMPLER_GOOD_TRIALS_H_
#define MASE_SAMPLER_GOOD_TRIALS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "mase/sampler/pareto.h"
#include "mase/sampler/trial.h"

namespace mase {

// Complete trials that satisfy their constraints come first: by value, or by non-domination rank
// and within the last rank that is taken in part by hypervolume. Then pruned ones, the further they
// came the better, of equals those with the better intermediate value; then the others, the less
// they violate the better. Equals are ordered by number. Failed trials are left out.
//
// Only those that can be among the best `capacity` are kept: a trial never becomes better when
// others arrive.
class GoodTrials {
 public:
  GoodTrials(std::vector<Direction> directions, size_t capacity)
      : directions_(std::move(directions)), capacity_(capacity) {}

  // Takes what arrived in `history` since the last call; all of it, if it is another.
  void Update(const TrialHistory& history);

  // How many trials of the history did not fail.
  size_t count() const { return count_; }

  // The best `count` <= capacity, ordered by number; fewer if there are not as many.
  std::vector<const Trial*> Best(size_t count) const;

 private:
  struct Entry {
    const Trial* trial;
    int group;     // 0 complete, 1 pruned, 2 infeasible.
    LossRow keys;  // Less is better; of complete ones the losses.
  };
  void Reduce();

  const std::vector<Direction> directions_;
  const size_t capacity_;
  uint64_t history_ = 0;
  size_t arrivals_ = 0;
  size_t count_ = 0;
  std::vector<Entry> entries_;  // Ordered by group, rank, keys and number.
  std::vector<int> ranks_;      // Of the entries; those of pruned and infeasible ones are 0.
};

// The point beyond all rows from which their hypervolume is measured: each objective's worst value,
// a tenth worse.
LossRow ReferenceBeyond(absl::Span<const LossRow> losses);

}  // namespace mase

#endif  // MASE_SAMPLER_GOOD_TRIALS_H_
