// The makers of MASE's own samplers, for the table in sampler.cc.
#ifndef MASE_SAMPLER_BUILT_IN_H_
#define MASE_SAMPLER_BUILT_IN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "mase/sampler/proposer.h"

namespace mase {

absl::StatusOr<std::unique_ptr<Proposer>> MakeGrid(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeRandom(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeQmc(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeTpe(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga2(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga3(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeMoead(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeCmaes(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeAllocator(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeGreedy(const SamplerSpec& spec);

}  // namespace mase

#endif  // MASE_SAMPLER_BUILT_IN_H_
