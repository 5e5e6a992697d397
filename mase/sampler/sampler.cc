#include "mase/sampler/sampler.h"

#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/config/complete.h"
#include "mase/sampler/built_in.h"
#include "mase/sampler/distinct.h"

namespace mase {
namespace {

constexpr absl::string_view kAllocator = "allocator", kGreedy = "greedy";

using Definitions = std::vector<const SamplerDefinition*>;

Definitions BuiltIn() {
  static const auto* const own = new std::vector<SamplerDefinition>{
      {.name = "tpe", .summary = "Tree-structured Parzen estimator.", .create = MakeTpe},
      {.name = "grid",
       .summary = "All points in turn, the last parameter fastest.",
       .continuous = false,
       .exhaustive = true,
       .create = MakeGrid},
      {.name = "random", .summary = "Points drawn evenly.", .create = MakeRandom},
      {.name = "qmc", .summary = "Sobol's sequence, which leaves no gaps.", .create = MakeQmc},
      {.name = "nsgaii",
       .summary = "Genetic, keeps the front and spreads along it.",
       .create = MakeNsga2},
      {.name = "nsgaiii",
       .summary = "Genetic, for three and more objectives.",
       .create = MakeNsga3},
      {.name = "moead",
       .summary = "Genetic, one problem for each part of the front.",
       .create = MakeMoead},
      {.name = "cmaes",
       .summary = "Evolution strategy for numbers and one objective.",
       .categorical = false,
       .conditional = false,
       .most_objectives = 1,
       .create = MakeCmaes},
      {.name = std::string(kAllocator),
       .summary = "Each layer alone, then the best sums of errors within a cost.",
       .continuous = false,
       .most_objectives = 2,
       .create = MakeAllocator},
      {.name = std::string(kGreedy),
       .summary = "Each layer alone, then the cheapest loss for each cost saved.",
       .continuous = false,
       .most_objectives = 2,
       .create = MakeGreedy},
  };
  Definitions all;
  for (const SamplerDefinition& each : *own) all.push_back(&each);
  return all;
}

OpenTable<Definitions>& Table() {
  static auto* const table = new OpenTable<Definitions>(BuiltIn());
  return *table;
}

bool IsName(absl::string_view name) {
  return !name.empty() && absl::ascii_islower(name.front()) && absl::c_all_of(name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

absl::Status CheckFits(const SamplerDefinition& sampler, const ParameterSpace& space,
                       size_t objectives) {
  const auto refuse = [&](absl::string_view can, const SearchParameter& p, absl::string_view but) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", sampler.name, " ", can, ", and parameter '", p.name, "' ", but));
  };
  for (const SearchParameter& p : space.parameters()) {
    if (!sampler.categorical && p.kind == SearchParameter::Kind::kCategorical) {
      return refuse("chooses numbers only", p,
                    "is a list of choices; use tpe or nsgaii, or give a range of numbers");
    }
    if (!sampler.conditional && p.parent >= 0) {
      return refuse("chooses all parameters", p,
                    "depends on another; use tpe or nsgaii, or make it independent");
    }
    if (!sampler.continuous && !p.size().has_value()) {
      return refuse("tries all values", p, "has infinitely many; give it a step or choices");
    }
  }
  if (objectives > sampler.most_objectives) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", sampler.name, " has up to ", sampler.most_objectives,
                     sampler.most_objectives == 1 ? " objective" : " objectives", ", not ",
                     objectives, "; use tpe or nsgaii"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Span<const SamplerDefinition* const> Samplers() { return Table().get(); }

absl::StatusOr<const SamplerDefinition*> FindSampler(absl::string_view name) {
  std::vector<std::string> names;
  for (const SamplerDefinition* each : Samplers()) {
    if (absl::EqualsIgnoreCase(each->name, name)) return each;
    names.push_back(each->name);
  }
  return absl::InvalidArgumentError(absl::StrCat("no sampler '", name, "'", Suggest(name, names),
                                                 "; there are ", absl::StrJoin(names, ", ")));
}

absl::Status CheckSampler(const SamplerDefinition& definition) {
  const std::string& name = definition.name;
  if (!IsName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "sampler '", name, "': want a name of small letters, digits and _, as in hill_climbing"));
  }
  if (definition.create == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("sampler ", name, ": nothing makes it"));
  }
  if (definition.most_objectives == 0) {
    return absl::InvalidArgumentError(absl::StrCat("sampler ", name, " can have no objective"));
  }
  if (FindSampler(name).ok()) {
    return absl::AlreadyExistsError(absl::StrCat("there is a sampler ", name, " already"));
  }
  return absl::OkStatus();
}

absl::Status RegisterSampler(SamplerDefinition definition) {
  MASE_RETURN_IF_ERROR(CheckSampler(definition));
  Table().Grow(
      [&](Definitions& all) { all.push_back(new SamplerDefinition(std::move(definition))); });
  return absl::OkStatus();
}

bool AllocatesBits(const SamplerDefinition& sampler) {
  return sampler.name == kAllocator || sampler.name == kGreedy;
}

absl::StatusOr<std::unique_ptr<Sampler>> MakeSampler(SamplerSettings settings,
                                                     const ParameterSpace& space,
                                                     std::vector<Direction> directions,
                                                     uint64_t seed, size_t error) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  if (directions.empty()) return absl::InvalidArgumentError("a search needs an objective");
  MASE_ASSIGN_OR_RETURN(const SamplerDefinition* const sampler, FindSampler(settings.name()));
  MASE_RETURN_IF_ERROR(CheckFits(*sampler, space, directions.size()));
  return MakeDistinctSampler(*sampler,
                             {std::move(settings), space, std::move(directions), seed, error});
}

}  // namespace mase
