#include "mase/search/check_request.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/search/pruner.h"

namespace mase {

namespace fs = std::filesystem;

namespace {

// All values of a choice, the ends of a range.
std::vector<double> EndsOf(const SearchParameter& parameter) {
  if (parameter.kind != SearchParameter::Kind::kCategorical) return {parameter.low, parameter.high};
  std::vector<double> values;
  for (size_t i = 0; i < parameter.choices.size(); ++i) values.push_back(static_cast<double>(i));
  return values;
}

}  // namespace

absl::Status CheckRequest(const SearchRequest& request, Reporter& reporter) {
  const SearchStrategySettings& strategy = request.settings.search().strategy();
  if (request.apply.has_value() && request.apply_best) {
    return absl::InvalidArgumentError(
        absl::StrCat("--apply=", *request.apply, " and --apply_best: want one of the two"));
  }
  if (request.apply.has_value() && strategy.storage().url().empty()) {
    const std::string& directory = request.settings.run_dir();
    std::error_code error;
    if (directory.empty() || !fs::exists(directory, error)) {
      return absl::NotFoundError(
          absl::StrCat("--apply=", *request.apply, " wants the --run_dir of a search that is there",
                       directory.empty() ? "" : absl::StrCat("; ", directory, " is not")));
    }
  }
  if (strategy.setup().has_n_jobs() && strategy.setup().n_jobs() == 0) {
    return absl::InvalidArgumentError(
        "n_jobs (--jobs) = 0: no trial would run; want how many at the same time, or -1 for one on "
        "each core");
  }
  // Of its settings, too, before anything runs.
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<Pruner> pruner,
                        MakePruner(strategy.pruner(), Direction::kMinimize));
  if (pruner != nullptr && !strategy.sw_runner().has_basic_train()) {
    return absl::InvalidArgumentError(
        "search.strategy.pruner: trials are pruned by their training, and these are not trained; "
        "leave pruner out, or add [search.strategy.sw_runner.basic_train]");
  }
  if (strategy.sw_runner().basic_train().weights() == "inherited") {
    const bool shared = !strategy.storage().url().empty();
    if (shared || !request.compare.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "search.strategy.sw_runner.basic_train.weights = \"inherited\": ",
          shared ? "trained nets lie in one run directory, and other workers of --storage have not "
                   "got them"
                 : "samplers are compared by figures that do not depend on the trials before",
          "; want \"initial\", or leave ", shared ? "--storage" : "--compare", " out"));
    }
  }
  if (strategy.has_eval_mode() && !strategy.eval_mode()) {
    return absl::InvalidArgumentError(
        "search.strategy.eval_mode = false: nets are measured in evaluation mode alone; leave "
        "eval_mode out");
  }
  std::string unheeded;
  const auto add = [&](absl::string_view setting, absl::string_view why) {
    absl::StrAppend(&unheeded, "\n  ", setting, ": ", why);
  };
  if (pruner != nullptr && !request.compare.empty()) {
    add("pruner", "samplers are compared by whole trials");
  }
  if (strategy.setup().has_save_every_n_trials()) {
    add("save_every_n_trials", "trials are kept as they end");
  }
  if (strategy.setup().has_pkl_ckpt()) {
    add("pkl_ckpt", "a study goes on by its --run_dir or --storage");
  }
  for (const SearchMetric& metric : strategy.metrics()) {
    if (!metric.has_lower_bound() && !metric.has_upper_bound()) continue;
    add(absl::StrCat("bounds of ", metric.name()),
        "they are for MASE's rl; see search_space.constraints");
  }
  if (!unheeded.empty()) reporter.Warn(absl::StrCat("settings without effect:", unheeded));
  return absl::OkStatus();
}

absl::Status CheckValues(const SearchRequest& request, const SearchSpace& space) {
  std::set<std::pair<std::string, std::string>> judged;  // Many nodes take the same seed.
  const ParameterSpace& parameters = space.parameters();
  for (size_t i = 0; i < parameters.dimensions(); ++i) {
    for (const double value : EndsOf(parameters[i])) {
      const std::string text = SettingText(parameters[i], value);
      if (!judged.emplace(space.PlaceOf(i), text).second) continue;
      Point alone(parameters.dimensions(), kInactive);
      alone[i] = value;
      const absl::Status status = request.settings_of(space.AssignmentsOf(alone)).status();
      if (status.ok()) continue;
      const std::string place =
          request.place_of == nullptr ? "" : request.place_of(space.PlaceOf(i));
      return absl::InvalidArgumentError(absl::StrCat(
          place, place.empty() ? "" : ": ", space.PlaceOf(i), " = ", text, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
