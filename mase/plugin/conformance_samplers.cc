// Samplers of searches.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/plugin/conformance_checks.h"
#include "mase/sampler/sampler.h"

namespace mase {
namespace {

constexpr int64_t kTrials = 60;
constexpr uint64_t kSeed = 5;

// A space of all that the sampler can sample, and more than kTrials points.
absl::StatusOr<ParameterSpace> SpaceFor(const SamplerDefinition& sampler) {
  SearchParameter steps = IntegerParameter("steps", 1, 64);
  steps.log = true;
  std::vector<SearchParameter> parameters = {IntegerParameter("width", 2, 18, 2), steps};
  if (sampler.categorical) {
    parameters.push_back(
        CategoricalParameter("kind", {{}, std::string("text"), int64_t{4}, 0.5, true}));
  }
  if (sampler.conditional) {
    SearchParameter depends = IntegerParameter("depends", 1, 10);
    depends.parent = 0;
    depends.parent_values = {2, 4, 6};
    parameters.push_back(depends);
  }
  if (sampler.continuous) parameters.push_back(RealParameter("rate", 1e-4, 1, /*log=*/true));
  return ParameterSpace::Create(std::move(parameters));
}

// What became of a trial: complete, pruned or failed, some of them infeasible.
Trial Ended(const SamplerDefinition& sampler, int64_t number, Point point) {
  Trial trial = {.number = number, .point = std::move(point)};
  trial.state = number % 7 == 3   ? TrialState::kFailed
                : number % 7 == 5 ? TrialState::kPruned
                                  : TrialState::kComplete;
  double loss = 0;
  for (const double x : trial.point) loss += std::isnan(x) ? 1 : (x - 3) * (x - 3);
  trial.intermediate[0] = loss;
  if (trial.state != TrialState::kComplete) return trial;
  trial.values.push_back(loss);
  if (sampler.most_objectives > 1) trial.values.push_back(trial.point[1]);
  trial.constraints = {5 - trial.point[0]};
  return trial;
}

std::string Text(const Point& point) { return absl::StrCat("(", absl::StrJoin(point, ", "), ")"); }

}  // namespace

absl::Status SamplerIsSound(const SamplerDefinition& definition) {
  MASE_ASSIGN_OR_RETURN(const ParameterSpace space, SpaceFor(definition));
  const std::vector<Direction> directions(std::min<size_t>(2, definition.most_objectives),
                                          Direction::kMinimize);
  SamplerSettings settings;
  settings.set_name(definition.name);
  const auto make = [&](uint64_t seed) { return MakeSampler(settings, space, directions, seed); };
  MASE_ASSIGN_OR_RETURN(const auto sampler, make(kSeed));
  TrialHistory history;
  std::vector<Trial> running;
  for (int64_t number = 0; number < kTrials; ++number) {
    MASE_ASSIGN_OR_RETURN(Point point, sampler->Sample(number, history, running));
    // One that never saw the trials before, and gets them backwards.
    TrialHistory backwards;
    const auto trials = history.trials();
    for (size_t i = trials.size(); i-- > 0;) backwards.Add(*trials[i]);
    MASE_ASSIGN_OR_RETURN(const auto other, make(kSeed));
    MASE_ASSIGN_OR_RETURN(const Point again, other->Sample(number, backwards, running));
    if (PointKey(point) != PointKey(again)) {
      return Wrong("trial ", number, " is ", Text(point), ", and ", Text(again),
                   " for one that was not asked for those before it");
    }
    // Every third trial runs while the next ones are chosen.
    Trial next = {.number = number, .point = point};
    if (number % 3 == 0) {
      for (Trial& trial : running) {
        if (trial.point.empty()) continue;
        history.Add(Ended(definition, trial.number, trial.point));
      }
      running = {next, {.number = number + kTrials}};  // And one without a point.
    } else {
      history.Add(Ended(definition, number, std::move(point)));
    }
  }
  // Another seed, and a history in which all failed, bring nothing down.
  TrialHistory failed;
  failed.Add({.number = 0, .state = TrialState::kFailed});
  failed.Add({.number = 1, .state = TrialState::kFailed, .point = history.Find(1)->point});
  MASE_ASSIGN_OR_RETURN(const auto other, make(kSeed + 1));
  return other->Sample(2, failed, {}).status();
}

}  // namespace mase
