#include "mase/search/sampler.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"
#include "mase/search/distinct.h"
#include "mase/search/sampler_table.h"

namespace mase {
namespace {

constexpr size_t kMostQmcDimensions = 3667;  // Of Joe and Kuo's table.

struct Row {
  SamplerInfo info;
  absl::StatusOr<std::unique_ptr<Proposer>> (*make)(const SamplerSpec& spec);
};

// name, text, about; categorical, conditional, continuous, objectives; factory.
const Row kRows[] = {
    {{SamplerSettings::TPE, "tpe", "Tree-structured Parzen estimator.", true, true, true,
      kManyObjectives},
     MakeTpe},
    {{SamplerSettings::GRID, "grid", "All points in turn, the last parameter fastest.", true, true,
      false, kManyObjectives},
     MakeGrid},
    {{SamplerSettings::RANDOM, "random", "Points drawn evenly.", true, true, true, kManyObjectives},
     MakeRandom},
    {{SamplerSettings::QMC, "qmc", "Sobol's sequence, which leaves no gaps.", true, true, true,
      kManyObjectives},
     MakeQmc},
    {{SamplerSettings::NSGAII, "nsgaii", "Genetic, keeps the front and spreads along it.", true,
      true, true, kManyObjectives},
     MakeNsga2},
    {{SamplerSettings::NSGAIII, "nsgaiii", "Genetic, for three and more objectives.", true, true,
      true, kManyObjectives},
     MakeNsga3},
    {{SamplerSettings::MOEAD, "moead", "Genetic, one problem for each part of the front.", true,
      true, true, kManyObjectives},
     MakeMoead},
    {{SamplerSettings::CMAES, "cmaes", "Evolution strategy for numbers and one objective.", false,
      false, true, 1},
     MakeCmaes},
    {{SamplerSettings::ALLOCATOR, "allocator",
      "Each layer alone, then the best sums of errors within a cost.", true, true, false, 2},
     MakeAllocator},
    {{SamplerSettings::GREEDY, "greedy",
      "Each layer alone, then the cheapest loss for each cost saved.", true, true, false, 2},
     MakeGreedy},
};

absl::Status CheckFits(const SamplerInfo& info, const ParameterSpace& space, size_t objectives) {
  const auto refuse = [&](absl::string_view can, const SearchParameter& p, absl::string_view but) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", info.text, " ", can, ", and parameter '", p.name, "' ", but));
  };
  for (const SearchParameter& p : space.parameters()) {
    if (!info.categorical && p.kind == SearchParameter::Kind::kCategorical) {
      return refuse("chooses numbers only", p,
                    "is a list of choices; use tpe or nsgaii, or give a range of numbers");
    }
    if (!info.conditional && p.parent >= 0) {
      return refuse("chooses all parameters", p,
                    "depends on another; use tpe or nsgaii, or make it independent");
    }
    if (!info.continuous && !p.size().has_value()) {
      return refuse("tries all values", p, "has infinitely many; give it a step or choices");
    }
  }
  if (objectives > info.most_objectives) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sampler ", info.text, " has ", info.most_objectives == 1 ? "one" : "up to two",
        " objective", info.most_objectives == 1 ? "" : "s", ", not ", objectives,
        "; use tpe or nsgaii"));
  }
  if (info.name == SamplerSettings::QMC && space.dimensions() > kMostQmcDimensions) {
    return absl::InvalidArgumentError(absl::StrCat("sampler qmc chooses up to ", kMostQmcDimensions,
                                                   " parameters, not ", space.dimensions()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Span<const SamplerInfo> Samplers() {
  static const auto* infos = [] {
    auto* list = new std::vector<SamplerInfo>;
    for (const Row& row : kRows) list->push_back(row.info);
    return list;
  }();
  return *infos;
}

const SamplerInfo& InfoOf(SamplerSettings::Name name) {
  const absl::Span<const SamplerInfo> all = Samplers();
  return *absl::c_find_if(all, [&](const SamplerInfo& info) { return info.name == name; });
}

absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(SamplerSettings settings,
                                                     const ParameterSpace& space,
                                                     std::vector<Direction> directions,
                                                     uint64_t seed, size_t error) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  if (directions.empty()) return absl::InvalidArgumentError("a search needs an objective");
  const auto row = absl::c_find_if(
      kRows, [&](const Row& candidate) { return candidate.info.name == settings.name(); });
  MASE_RETURN_IF_ERROR(CheckFits(row->info, space, directions.size()));
  const SamplerSpec spec = {settings, space, std::move(directions), seed, error};
  absl::StatusOr<std::unique_ptr<Proposer>> proposer = row->make(spec);
  if (!proposer.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", row->info.text, " ", proposer.status().message()));
  }
  return MakeDistinctSampler(spec, *std::move(proposer), settings.name() == SamplerSettings::GRID);
}

}  // namespace mase
