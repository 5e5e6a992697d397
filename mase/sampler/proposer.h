// The idea of a sampler: which point of a space the next trial of a search looks at. Those of MASE
// and of plugins are made alike.
//
//   class HillClimbing final : public Proposer { ... };
//   registrar.AddSampler({.name = "hill_climbing",
//                         .summary = "One value of the best trial, a step up or down.",
//                         .most_objectives = 1,
//                         .create = [](const SamplerSpec& spec)
//                             -> absl::StatusOr<std::unique_ptr<Proposer>> {
//                           return std::make_unique<HillClimbing>(spec);
//                         }});
//
// Once its plugin is open, `sampler = "hill_climbing"` and `ch search --sampler=hill_climbing` use
// it, and `--compare=tpe,hill_climbing` sets it beside others.
#ifndef MASE_SAMPLER_PROPOSER_H_
#define MASE_SAMPLER_PROPOSER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/sampler/draws.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "proto/sampler.pb.h"

namespace mase {

// What a sampler is made of. The space is one that its definition says it can sample.
struct SamplerSpec {
  SamplerSettings settings;  // Complete. It heeds those that it likes, such as population_size.
  ParameterSpace space;
  std::vector<Direction> directions;  // Of the objectives, at least one.
  uint64_t seed = 0;
  size_t error = 0;  // The objective that is an error; others are costs.
};

class Proposer {
 public:
  virtual ~Proposer();

  // A point of the space for trial `number` >= 0. `finished` are the trials that are over, failed
  // ones included; `running` those whose values are not known yet, some without a point. It may
  // propose what was tried before: the search takes a point beside it then, so that none comes
  // twice.
  //
  // The point is to be a function of spec, number, the set of finished trials and the running ones:
  // not of what this object was asked before, of the order in which trials finished, of clock or
  // machine; randomness comes from `draws`, which are this trial's own. What was derived from a
  // history may be kept while TrialHistory::id() is the same. One thread calls at a time.
  virtual Point Propose(int64_t number, const TrialHistory& finished,
                        absl::Span<const Trial> running, Draws& draws) = 0;
};

inline constexpr size_t kManyObjectives = std::numeric_limits<size_t>::max();

// One line of the table of samplers. What it says it cannot do, it is not asked for: the search is
// refused with the parameter's name.
struct SamplerDefinition {
  std::string name;         // Small letters, digits and '_': "tpe".
  std::string summary;      // One sentence.
  bool categorical = true;  // Whether it can choose categorical parameters.
  bool conditional = true;  // Whether parameters may depend on others.
  bool continuous = true;   // Whether reals may be without a step.
  size_t most_objectives = kManyObjectives;
  // Whether it walks through all points in their order and draws nothing: then one seed is like
  // another, and a search without a number of trials has all points.
  bool exhaustive = false;
  // Made for each study. An error says what is wrong with space or settings as the end of a
  // sentence: "wants a population of 4 or more".
  std::function<absl::StatusOr<std::unique_ptr<Proposer>>(const SamplerSpec& spec)> create;
};

}  // namespace mase

#endif  // MASE_SAMPLER_PROPOSER_H_
