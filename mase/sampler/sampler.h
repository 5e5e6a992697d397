// Samplers: which point of a space the next trial looks at.
//
//   SamplerSettings settings;
//   settings.set_name("tpe");
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Sampler> sampler,
//                         MakeSampler(settings, space, {Direction::kMaximize}, /*seed=*/0));
//   MASE_ASSIGN_OR_RETURN(Point point, sampler->Sample(history.size(), history, {}));
//
// The point of a trial is a function of the settings, the space, the seed, the trial's number, the
// set of finished trials and the running ones: not of what the same sampler object was asked
// before, nor of the order in which trials finished, nor of the machine. Samplers keep what they
// derived from a history, so that the next trial costs little, and forget it when they see another
// history. Not thread-safe.
//
// Finished trials that failed teach nothing. Trials that violate constraints (Trial::constraints)
// are worse than all that do not, the more the worse. Conditional parameters are chosen parents
// first.
#ifndef MASE_SAMPLER_SAMPLER_H_
#define MASE_SAMPLER_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/proposer.h"
#include "mase/sampler/trial.h"
#include "proto/sampler.pb.h"

namespace mase {

class Sampler {
 public:
  virtual ~Sampler() = default;

  // The point of trial `number` >= 0. `running` are the trials whose points are chosen and whose
  // values are not known yet; those without a point are skipped.
  //
  // No point comes twice in a study, of finished and running trials, while the space has others.
  // OutOfRange, "all 18 points of the search space are tried", where it has none. Internal, naming
  // the sampler, where what it proposes is no point of the space, or it throws.
  virtual absl::StatusOr<Point> Sample(int64_t number, const TrialHistory& finished,
                                       absl::Span<const Trial> running) = 0;
};

// All of them: MASE's in the order of listings, then those of plugins. A snapshot that stays good.
absl::Span<const SamplerDefinition* const> Samplers();

// The sampler of that name in any case; lives as long as the program. InvalidArgument with the
// nearest name and all there are.
absl::StatusOr<const SamplerDefinition*> FindSampler(absl::string_view name);

// Whether a sampler can be put into the table: InvalidArgument for a name that is none, without
// `create` or objectives; AlreadyExists if the name is taken.
absl::Status CheckSampler(const SamplerDefinition& definition);
// Puts it there. Errors of CheckSampler.
absl::Status RegisterSampler(SamplerDefinition definition);

// Whether it measures layers alone and then gives bits to all of them (layer_model.h).
bool AllocatesBits(const SamplerDefinition& sampler);

// A sampler of `space`, which is copied. Settings that are not given have their defaults. `error`
// is the objective that the allocator and the greedy make small where others, or a constraint, are
// costs. InvalidArgument: a sampler that is not there, a setting out of its range, a parameter or
// layer that the sampler cannot choose (named), more objectives than it can have, or no direction.
absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(SamplerSettings settings,
                                                     const ParameterSpace& space,
                                                     std::vector<Direction> directions,
                                                     uint64_t seed, size_t error = 0);

}  // namespace mase

#endif  // MASE_SAMPLER_SAMPLER_H_
