// A sampler that never tries a point twice where the space has others: results of trials are
// functions of their points, so a second trial of one would teach nothing.
#ifndef MASE_SAMPLER_DISTINCT_H_
#define MASE_SAMPLER_DISTINCT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "mase/sampler/proposer.h"
#include "mase/sampler/sampler.h"

namespace mase {

// Takes what the definition's proposer proposes if it is new. Else changes one of its parameters at
// random, then more of them, and at last takes the first new one of a walk over the grid. After an
// exhaustive one: the walk at once, from its start. The proposer may be a plugin's: what it throws
// and points that are none are errors, and it changes no floating-point state. InvalidArgument of
// its `create`, with the sampler's name.
absl::StatusOr<std::unique_ptr<Sampler>> MakeDistinctSampler(const SamplerDefinition& definition,
                                                             SamplerSpec spec);

}  // namespace mase

#endif  // MASE_SAMPLER_DISTINCT_H_
