#include "mase/cli/search_action.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/cli/explain.h"
#include "mase/cli/plugin_flags.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/report_json.h"
#include "mase/sampler/sampler.h"
#include "mase/search/database.h"
#include "mase/search/search_run.h"
#include "proto/search.pb.h"
#include "proto/search_flags.pb.h"

namespace mase {
namespace {

class SearchAction : public Action {
 public:
  SearchAction() { flags_.set_batch(8), flags_.set_seeds(5); }

  absl::string_view name() const override { return "search"; }
  absl::string_view summary() const override {
    return "find the best number formats, widths or other settings of a net";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:search -- --config=testdata/configs/jsc_tiny_search.toml\n"
           "./bazelw run //mase:search -- --config=my.toml --load=best.safetensors "
           "--sampler=grid\n"
           "./bazelw run //mase:search -- --config=my.toml --trials=1000 --jobs=2 --apply_best\n"
           "./bazelw run //mase:search -- --config=my.toml --goal \"accuracy_drop <= 0.5 "
           "points\"\n"
           "./bazelw run //mase:search -- --config=my.toml --run_dir=found --apply=17\n";
  }

  google::protobuf::Message* own_flags() override { return &flags_; }

  absl::StatusOr<bool> Prepare() override {
    MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins()));
    return false;
  }

  void Settle(RunConfig& config) const override { PinPlugins(*loader_, config); }

  // The study, where it is a file of its own.
  std::vector<NamedPath> MoreFilesRead(const RunConfig& config) const override {
    const absl::StatusOr<DatabaseUrl> storage = ParseDatabaseUrl(
        flags_.storage().empty() ? config.search().strategy().storage().url() : flags_.storage());
    if (!storage.ok() || storage->file.empty()) return {};  // A bad one is told when it is opened.
    return {{"storage", storage->file}};
  }

  ConfigRequest config_request() const override {
    return {[this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
              MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_->LookUp(pass));
              return info->options->GetDescriptor();
            },
            /*read_passes=*/true, /*read_search=*/true};
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    return Search(settings, begun, /*dry_run=*/false);
  }
  absl::Status Explain(const LoadedConfig& settings, const RunReport& begun) override {
    return Search(settings, begun, /*dry_run=*/true);
  }

 private:
  absl::Status Search(const LoadedConfig& loaded, RunReport begun, bool dry_run) {
    const RunConfig& config = loaded.config;
    SearchRequest request = {
        .settings = config,
        .settings_of = [this](const std::vector<Assignment>& of) { return SettingsOfPoint(of); },
        .place_of =
            [&loaded](const std::string& setting) {
              const std::vector<GivenSetting> given = GivenBelow(loaded.record, setting);
              return given.empty() ? "" : given[0].place;
            },
        .deterministic = flags_.deterministic(),
        .batch = flags_.batch(),
        .apply_best = flags_.apply_best(),
        .seeds = flags_.seeds(),
        .worker = flags_.worker(),
        .dry_run = dry_run};
    if (flags_.has_apply()) request.apply = flags_.apply();
    for (const std::string& name : flags_.compare()) {
      MASE_ASSIGN_OR_RETURN(const std::string sampler, SamplerNamed(name, "--compare"));
      if (absl::c_linear_search(request.compare, sampler)) {
        return absl::InvalidArgumentError(
            absl::StrCat("--compare: ", sampler, " is named twice; name every sampler once"));
      }
      request.compare.push_back(sampler);
    }
    if (config.has_search()) {
      MASE_RETURN_IF_ERROR(TakeFlags(*request.settings.mutable_search()->mutable_strategy()));
      SetSettings(request.settings, begun);
    }
    const RunEnvironment environment = {
        .reporter = reporter(), .passes = loader_.get(), .watch_interrupt = watch_interrupt()};
    return Finish(SearchRun(request, begun, environment));
  }

  absl::Status TakeFlags(SearchStrategySettings& strategy) const {
    SearchSetup& setup = *strategy.mutable_setup();
    if (flags_.has_trials()) setup.set_n_trials(flags_.trials());
    if (flags_.has_jobs()) setup.set_n_jobs(flags_.jobs());
    if (!flags_.storage().empty()) strategy.mutable_storage()->set_url(flags_.storage());
    if (flags_.worker() && strategy.storage().url().empty()) {
      return absl::InvalidArgumentError("--worker wants the --storage of the study");
    }
    SamplerSettings& sampler = *setup.mutable_sampler();
    absl::string_view from = "search.strategy.setup.sampler";
    if (!flags_.sampler().empty()) {
      from = "--sampler";
      sampler.set_name(flags_.sampler());
      strategy.set_name("optuna");
    }
    if (!sampler.has_name()) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(*sampler.mutable_name(), SamplerNamed(sampler.name(), from));
    return absl::OkStatus();
  }

  // As the table of samplers spells it.
  static absl::StatusOr<std::string> SamplerNamed(absl::string_view text, absl::string_view from) {
    const absl::StatusOr<const SamplerDefinition*> sampler = FindSampler(text);
    if (sampler.ok()) return (*sampler)->name;
    return absl::InvalidArgumentError(absl::StrCat(from, ": ", sampler.status().message()));
  }

  // The settings that were given, and on top of them the point's.
  absl::StatusOr<RunConfig> SettingsOfPoint(const std::vector<Assignment>& assignments) const {
    Arguments of_point = arguments();
    std::vector<std::pair<std::string, std::string>> words;
    for (const Assignment& assignment : assignments) {
      if (assignment.setting[0] == '{') {
        words.emplace_back(assignment.setting, assignment.text);
      } else {
        of_point.settings.push_back({"search", assignment.setting, assignment.text});
      }
    }
    MASE_ASSIGN_OR_RETURN(LoadedConfig loaded, LoadConfig(of_point, config_request()));
    RunConfig& config = loaded.config;
    Settle(config);
    config.mutable_model()->set_name(absl::StrReplaceAll(config.model().name(), words));
    return config;
  }

  SearchFlags flags_;
  std::unique_ptr<PluginLoader> loader_;
};

}  // namespace

std::unique_ptr<Action> MakeSearchAction() { return std::make_unique<SearchAction>(); }

}  // namespace mase
