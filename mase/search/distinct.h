// A sampler that never tries a point twice where the space has others: results of trials are
// functions of their points, so a second trial of one would teach nothing.
#ifndef MASE_SEARCH_DISTINCT_H_
#define MASE_SEARCH_DISTINCT_H_

#include <memory>

#include "mase/search/sampler_table.h"

namespace mase {

// Takes what `proposer` proposes if it is new. Else changes one of its parameters at random, then
// more of them, and at last takes the first new one of a walk over the grid. `orderly`: the walk at
// once, from its start.
std::unique_ptr<Sampler> MakeDistinctSampler(const SamplerSpec& spec,
                                             std::unique_ptr<Proposer> proposer, bool orderly);

}  // namespace mase

#endif  // MASE_SEARCH_DISTINCT_H_
