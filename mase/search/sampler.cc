#include "mase/search/sampler.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"
#include "mase/search/sampler_table.h"

namespace mase {
namespace {

struct Row {
  SamplerInfo info;
  std::unique_ptr<Sampler> (*make)(SamplerSpec spec);
};

// name, text, about; categorical, continuous, learns; factory.
const Row kRows[] = {
    {{SamplerSettings::GRID, "grid", "All points in turn, the last parameter fastest.", true, false,
      false},
     MakeGridSampler},
    {{SamplerSettings::RANDOM, "random", "Points drawn evenly.", true, true, false},
     MakeRandomSampler},
};

absl::Status CheckParameters(const SamplerInfo& info, const ParameterSpace& space) {
  for (const SearchParameter& p : space.parameters()) {
    if (!info.categorical && p.kind == SearchParameter::Kind::kCategorical) {
      return absl::InvalidArgumentError(
          absl::StrCat("sampler ", info.text, " chooses numbers only, and parameter '", p.name,
                       "' is a list of choices; use tpe or nsgaii, or give a range of numbers"));
    }
    if (!info.continuous && !p.size().has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("sampler ", info.text, " tries all values, and parameter '", p.name,
                       "' has infinitely many; give it a step or choices"));
    }
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
                                                     uint64_t seed) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  if (directions.empty()) return absl::InvalidArgumentError("a search needs an objective");
  const auto row = absl::c_find_if(
      kRows, [&](const Row& candidate) { return candidate.info.name == settings.name(); });
  if (row == std::end(kRows)) return absl::UnimplementedError("no such sampler");
  MASE_RETURN_IF_ERROR(CheckParameters(row->info, space));
  return row->make({settings, space, std::move(directions), seed});
}

}  // namespace mase
