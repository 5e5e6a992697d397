#include "mase/search/compare_samplers.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "mase/base/progress.h"
#include "mase/base/status_macros.h"
#include "mase/search/point_chooser.h"
#include "mase/search/study.h"
#include "mase/search/trial_loop.h"

namespace mase {
namespace {

class Comparer {
 public:
  Comparer(const SearchContext& context, TrialRunner& runner, const Comparison& comparison)
      : context_(context), runner_(runner), comparison_(comparison) {}

  absl::StatusOr<std::unique_ptr<Study>> RunStudy(const SamplerSettings& settings, uint64_t seed) {
    const ParameterSpace& space = context_.space.parameters();
    const Objective& objective = context_.objective;
    MASE_ASSIGN_OR_RETURN(PointChooser chooser,
                          PointChooser::Create(settings, space, objective, seed));
    MASE_ASSIGN_OR_RETURN(std::unique_ptr<Study> study,
                          Study::Open(StorageSettings(), {.name = "compare",
                                                          .directions = objective.directions(),
                                                          .metric_names = objective.names(),
                                                          .space = space}));
    for (int64_t i = 0; i < comparison_.trials; ++i) {
      if (comparison_.interrupted != nullptr && *comparison_.interrupted) {
        return absl::CancelledError("interrupted while samplers are compared");
      }
      MASE_ASSIGN_OR_RETURN(std::vector<Trial> begun, study->Begin(1));
      Trial trial = std::move(begun[0]);
      MASE_ASSIGN_OR_RETURN(std::optional<Point> point, chooser.Choose(trial.number, *study));
      if (!point.has_value()) break;
      trial.point = *std::move(point);
      MASE_RETURN_IF_ERROR(study->Choose(trial).status());
      MASE_RETURN_IF_ERROR(Measure(trial));
      MASE_RETURN_IF_ERROR(study->Finish(std::move(trial)));
    }
    return study;
  }

 private:
  absl::Status Measure(Trial& trial) {
    const auto [known, is_new] =
        known_.try_emplace(context_.space.SampledConfig(trial.point), Trial());
    if (is_new) {
      MASE_RETURN_IF_ERROR(MeasureTrial(runner_, context_.objective, trial));
      known->second = trial;
    }
    trial.state = known->second.state;
    trial.values = known->second.values;
    trial.constraints = known->second.constraints;
    return absl::OkStatus();
  }

  const SearchContext& context_;
  TrialRunner& runner_;
  const Comparison& comparison_;
  std::map<std::string, Trial> known_;  // By what was sampled.
};

}  // namespace

absl::StatusOr<std::vector<SamplerCurves>> CompareSamplers(const SearchContext& context,
                                                           TrialRunner& runner,
                                                           const Comparison& comparison) {
  Comparer comparer(context, runner, comparison);
  std::vector<std::vector<std::unique_ptr<Study>>> studies;
  std::vector<const Trial*> all;
  Progress progress("compare", 0, "study", context.environment.reporter.progress());
  int64_t done = 0;
  for (const SamplerSettings& settings : comparison.samplers) {
    std::vector<std::unique_ptr<Study>>& of_sampler = studies.emplace_back();
    MASE_ASSIGN_OR_RETURN(const SamplerDefinition* const sampler, FindSampler(settings.name()));
    const int seeds = sampler->exhaustive ? 1 : comparison.seeds;
    for (int i = 0; i < seeds; ++i) {
      MASE_ASSIGN_OR_RETURN(std::unique_ptr<Study> study,
                            comparer.RunStudy(settings, comparison.seed + i));
      for (const Trial* trial : study->history().trials()) all.push_back(trial);
      of_sampler.push_back(std::move(study));
      progress.Update(++done);
    }
  }
  const auto& directions = context.objective.directions();
  const std::vector<double> reference = ReferenceOf(all, directions);
  std::vector<SamplerCurves> curves;
  for (size_t i = 0; i < studies.size(); ++i) {
    SamplerCurves& sampler = curves.emplace_back();
    sampler.sampler = comparison.samplers[i].name();
    for (const auto& study : studies[i]) {
      sampler.curves.push_back(QualityCurve(study->history().trials(), directions, reference));
    }
  }
  return curves;
}

}  // namespace mase
