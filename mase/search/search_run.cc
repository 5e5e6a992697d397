#include "mase/search/search_run.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "mase/base/files.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table_report.h"
#include "mase/config/complete.h"
#include "mase/run/goal.h"
#include "mase/run/run_directory.h"
#include "mase/run/session.h"
#include "mase/sampler/layer_model.h"
#include "mase/search/check_request.h"
#include "mase/search/compare_samplers.h"
#include "mase/search/conclusion.h"
#include "mase/search/point_chooser.h"
#include "mase/search/pruner.h"
#include "mase/search/search_directory.h"
#include "mase/search/search_page.h"
#include "mase/search/search_plots.h"
#include "mase/search/search_results.h"
#include "mase/search/search_sample.h"
#include "mase/search/study.h"
#include "mase/search/trial_loop.h"
#include "mase/search/winner.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultTrials = 100;  // Of a space that is larger, where none are given.

absl::StatusOr<SamplerSettings> SamplerOf(const SearchStrategySettings& strategy) {
  SamplerSettings settings = strategy.setup().sampler();
  if (strategy.name() == "grid") settings.set_name("grid");
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  return settings;
}

class Search {
 public:
  Search(const SearchRequest& request, Session& session, const SearchContext& context,
         RunDirectory& directory, std::vector<Goal> goals)
      : request_(request),
        strategy_(context.settings.strategy()),
        session_(session),
        context_(context),
        directory_(directory),
        goals_(std::move(goals)) {}

  absl::Status Run() {
    interrupted_ = session_.environment.interrupted();
    MASE_ASSIGN_OR_RETURN(const SamplerSettings settings, SamplerOf(strategy_));
    MASE_ASSIGN_OR_RETURN(const SamplerDefinition* const sampler, FindSampler(settings.name()));
    if (AllocatesBits(*sampler)) {
      MASE_ASSIGN_OR_RETURN(layers_, LayerPlan::Create(context_.space.parameters()));
    }
    const int64_t target = Target(*sampler);
    MASE_RETURN_IF_ERROR(CheckTarget(*sampler, target));
    Announce(*sampler, target);
    MASE_RETURN_IF_ERROR(ChooseRunner());
    if (!request_.compare.empty()) return Compare(target);
    MASE_RETURN_IF_ERROR(OpenStudy());
    absl::Status searched =
        request_.apply.has_value() ? absl::OkStatus() : RunTrials(settings, target);
    searched.Update(study_->Flush());
    // What was found is written also where the database has gone away.
    MASE_RETURN_IF_ERROR(WriteResults());
    MASE_RETURN_IF_ERROR(WithAdvice(searched));
    return request_.worker ? absl::OkStatus() : Conclude();
  }

 private:
  // Trials that the study is to have.
  int64_t Target(const SamplerDefinition& sampler) const {
    const ParameterSpace& space = context_.space.parameters();
    const SearchSetup& setup = strategy_.setup();
    const int64_t allowed = AllowedPoints(space, context_.objective);
    if (setup.has_n_trials()) return std::min<int64_t>(setup.n_trials(), allowed);
    const auto size = space.size();
    const bool all =
        sampler.exhaustive && size.has_value() && *size < static_cast<uint64_t>(kMostTrials);
    const int64_t first = layers_.has_value() ? layers_->size() : 0;
    return std::min(all ? static_cast<int64_t>(*size) : first + kDefaultTrials, allowed);
  }

  // Trials of single layers alone would decide nothing.
  absl::Status CheckTarget(const SamplerDefinition& sampler, int64_t target) const {
    const auto size = context_.space.parameters().size();
    if (target == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "search.search_space.constraints leave none of the ",
          WithCommas(static_cast<int64_t>(*size)),
          " points: ", absl::StrJoin(request_.settings.search().search_space().constraints(), "; "),
          "; widen the space or the constraints"));
    }
    const bool all = size.has_value() && static_cast<uint64_t>(target) >= *size;
    if (!layers_.has_value() || target > layers_->size() || all) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", sampler.name, " first tries each choice of each layer alone: ",
                     WithCommas(layers_->size()), " trials, and ", WithCommas(target),
                     " are allowed; want n_trials (--trials) to be more, or tpe or nsgaii"));
  }

  void Announce(const SamplerDefinition& sampler, int64_t target) const {
    Reporter& reporter = session_.reporter();
    reporter.Show(SpaceTable(context_.space), "space.csv");
    reporter.Print(absl::StrCat("\nThe search space has ", context_.space.Describe(), ".\n"));
    reporter.Print(absl::StrCat("Sampler ", sampler.name, ", ", WithCommas(target),
                                " trials, each measured on ", context_.sample.caption, ".\n"));
    if (!layers_.has_value()) return;
    reporter.Print(absl::StrCat("The first ", WithCommas(layers_->size()),
                                " try each choice of each layer alone.\n"));
  }

  // Formats alone are tried the fast way, if that finds what an ordinary run finds.
  absl::Status ChooseRunner() {
    fast_ = context_.space.formats_alone() && !strategy_.sw_runner().has_basic_train();
    bool compared = false;
    for (const bool last : {false, true}) {
      if (!fast_) break;
      const Trial corner = {.number = 0, .point = CornerPoint(context_.space.parameters(), last)};
      const std::unique_ptr<TrialRunner> slow = SettingsTrials(context_);
      absl::StatusOr<std::unique_ptr<TrialRunner>> quick = FormatTrials(context_);
      if (absl::IsUnimplemented(quick.status())) fast_ = false;
      if (!fast_) break;
      MASE_RETURN_IF_ERROR(quick.status());
      const absl::StatusOr<TrialFigures> figures = slow->Run(corner, nullptr);
      if (!figures.ok()) continue;  // A point that an ordinary run refuses decides nothing.
      const absl::StatusOr<TrialFigures> same = (*quick)->Run(corner, nullptr);
      fast_ = same.ok() && same->software == figures->software;
      compared = true;
    }
    fast_ = fast_ && compared;
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<TrialRunner>> MakeRunner() const {
    return fast_ ? FormatTrials(context_) : SettingsTrials(context_);
  }

  absl::Status OpenStudy() {
    StorageSettings storage = strategy_.storage();
    const bool alone = storage.url().empty();  // As the directory is locked.
    if (alone) {
      MASE_ASSIGN_OR_RETURN(const std::string file, directory_.Reserve(kStudyFile));
      std::error_code error;
      const fs::path path = fs::absolute(file, error);
      if (error) return FileError(file, "find", error.value());
      if (fs::is_symlink(path, error)) {  // SQLite would write to the file that it leads to.
        return absl::InvalidArgumentError(
            absl::StrCat(file, ": is a link; name the file itself with --storage=sqlite:///FILE"));
      }
      storage.set_url(absl::StrCat("sqlite:///", path.string()));
    }
    const std::string& project = request_.settings.project();
    MASE_ASSIGN_OR_RETURN(
        study_,
        Study::Open(
            storage,
            {.name = project.empty() ? "search" : project,
             .directions = context_.objective.directions(),
             .metric_names = context_.objective.names(),
             .space = context_.space.parameters(),
             .is_there = request_.apply.has_value()},
            [this](absl::string_view text) { session_.reporter().Warn(text); }, interrupted_));
    return alone ? study_->FailOthers() : study_->Refresh();
  }

  absl::Status RunTrials(const SamplerSettings& sampler, int64_t target) {
    const SearchSetup& setup = strategy_.setup();
    MASE_ASSIGN_OR_RETURN(PointChooser chooser,
                          PointChooser::Create(sampler, context_.space.parameters(),
                                               context_.objective, request_.settings.seed()));
    TrialLoopOptions options;
    options.target = target;
    options.jobs =
        setup.n_jobs() > 0 ? setup.n_jobs() : static_cast<int>(std::thread::hardware_concurrency());
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<Pruner> pruner,
                          MakePruner(strategy_.pruner(), Direction::kMinimize));
    options.pruner = pruner.get();
    options.batch = request_.deterministic ? request_.batch : 0;
    if (setup.has_timeout()) options.deadline = absl::Now() + absl::Seconds(setup.timeout());
    options.interrupted = interrupted_;
    TrialLoop loop(
        context_, *study_, chooser, [this] { return MakeRunner(); }, options);
    MASE_RETURN_IF_ERROR(loop.Run());
    if (interrupted_ == nullptr || !*interrupted_) return absl::OkStatus();
    return absl::CancelledError(
        absl::StrCat("interrupted after ", study_->history().size(), " of ", target,
                     " trials; the same command with --run_dir=", directory_.path(), " goes on"));
  }

  absl::Status WithAdvice(const absl::Status& status) const {
    if (!absl::IsUnavailable(status)) return status;
    return absl::UnavailableError(absl::StrCat(status.message(), "; the ", study_->history().size(),
                                               " trials that are known are in ", directory_.path(),
                                               ", and the same command goes on from there"));
  }

  absl::Status WriteResults() {
    const auto trials = study_->history().trials();
    const std::vector<const Trial*> front = BestTrials(trials, context_.objective.directions());
    const Table all = TrialTable(trials, context_.space, context_.objective);
    MASE_RETURN_IF_ERROR(directory_.Write("space.csv", SpaceTable(context_.space).Csv()));
    MASE_RETURN_IF_ERROR(directory_.Write("trials.csv", all.Csv()));
    MASE_RETURN_IF_ERROR(directory_.Write(
        "log.json", LogJson(trials, context_.space, context_.objective, !request_.deterministic)));
    MASE_RETURN_IF_ERROR(
        directory_.Write("best.json", BestJson(front, context_.space, context_.objective)));
    if (front.empty()) return absl::OkStatus();
    const Table best = BestTable(front, context_.space, context_.objective);
    MASE_RETURN_IF_ERROR(directory_.Write("front.csv", best.Csv()));
    MASE_RETURN_IF_ERROR(directory_.Write("front.md", best.Markdown()));
    session_.reporter().Show(best, "front.csv");
    *session_.report.add_tables() = ReportOf(best);
    MASE_RETURN_IF_ERROR(
        directory_.Write("progress.svg", CurvesAsSvg(QualityPicture(trials, context_.objective))));
    if (context_.objective.names().size() > 1) {
      MASE_RETURN_IF_ERROR(directory_.Write(
          "front.svg", CurvesAsSvg(FrontPicture(trials, front, context_.objective))));
    }
    if (layers_.has_value()) {
      const Table allocations = AllocationTable(
          *layers_, study_->history(), front, context_.objective.directions(),
          context_.objective.error(), context_.objective.names()[context_.objective.error()]);
      if (allocations.num_rows() > 0) {
        *session_.report.add_tables() = ReportOf(allocations);
        session_.reporter().Show(allocations, "allocations.csv");
        MASE_RETURN_IF_ERROR(directory_.Write("allocations.csv", allocations.Csv()));
      }
    }
    const Table importances =
        ImportanceTable(trials, context_.space, context_.objective, request_.settings.seed());
    session_.sections = [this, front, importances](Plots& plots) {
      return SearchSections(study_->history().trials(), front, context_.space, context_.objective,
                            importances, plots);
    };
    if (importances.num_rows() == 0) return absl::OkStatus();
    *session_.report.add_tables() = ReportOf(importances);
    session_.reporter().Show(importances, "importances.csv");
    return directory_.Write("importances.csv", importances.Csv());
  }

  absl::Status Compare(int64_t target) {
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<TrialRunner> runner, MakeRunner());
    Comparison comparison;
    comparison.seeds = request_.seeds;
    comparison.seed = request_.settings.seed();
    comparison.trials = target;
    comparison.interrupted = interrupted_;
    for (const std::string& name : request_.compare) {
      comparison.samplers.push_back(strategy_.setup().sampler());
      comparison.samplers.back().set_name(name);
    }
    MASE_ASSIGN_OR_RETURN(const std::vector<SamplerCurves> curves,
                          CompareSamplers(context_, *runner, comparison));
    const Table table = CompareTable(curves, context_.objective);
    MASE_RETURN_IF_ERROR(directory_.Write("compare.csv", table.Csv()));
    MASE_RETURN_IF_ERROR(directory_.Write("compare.md", table.Markdown()));
    MASE_RETURN_IF_ERROR(
        directory_.Write("compare.svg", CurvesAsSvg(ComparePicture(curves, context_.objective))));
    session_.reporter().Show(table, "compare.csv");
    *session_.report.add_tables() = ReportOf(table);
    return absl::OkStatus();
  }

  // The trial that is to be applied, and why it.
  absl::StatusOr<Winner> FindWinner() const {
    if (request_.apply.has_value()) {
      return NamedWinner(study_->history(), context_.space.parameters(), *request_.apply);
    }
    MASE_ASSIGN_OR_RETURN(const TrialFigures original, FiguresOf(context_, session_.graph));
    Winner winner = ChooseWinner(study_->history(), context_.objective, goals_, original);
    if (winner.trial != nullptr) return winner;
    return absl::AbortedError("no trial satisfies the constraints of the search space");
  }

  absl::Status Conclude() {
    MASE_ASSIGN_OR_RETURN(const Winner winner, FindWinner());
    const Trial& trial = *winner.trial;
    session_.reporter().Print(absl::StrCat("\nTrial ", trial.number, " is ", winner.why, ".\n"));
    MASE_ASSIGN_OR_RETURN(const Graph net, NetOf(context_, trial));
    if (fast_) MASE_RETURN_IF_ERROR(CheckWinner(context_, trial, net));
    MASE_RETURN_IF_ERROR(MeasureWinner(net, request_.settings, session_));
    const bool applies = request_.apply_best || request_.apply.has_value();
    return applies ? ApplyTrial(context_, trial, session_, directory_) : absl::OkStatus();
  }

  const SearchRequest& request_;
  const SearchStrategySettings& strategy_;
  Session& session_;
  const SearchContext& context_;
  RunDirectory& directory_;
  const std::vector<Goal> goals_;
  std::optional<LayerPlan> layers_;  // Where the sampler allocates bits to them.
  std::unique_ptr<Study> study_;
  const std::atomic<bool>* interrupted_ = nullptr;
  bool fast_ = false;
};

absl::StatusOr<RunResult> Begin(const SearchRequest& request, const RunReport& begun,
                                const RunEnvironment& outer) {
  const RunConfig& config = request.settings;
  if (!config.has_search()) {
    return absl::InvalidArgumentError(
        "nothing to search: want a settings file with [search.search_space] and "
        "[search.strategy], --config=FILE");
  }
  const SearchSettings& settings = config.search();
  MASE_RETURN_IF_ERROR(CheckRequest(request, outer.reporter));
  DatasetCache cache;
  RunEnvironment environment = outer;
  if (environment.data == nullptr) environment.data = &cache;
  // What the net is may be a choice: it is opened as the first values say.
  RunConfig first = config;
  if (settings.search_space().settings_size() > 0) {
    SearchSpaceSettings plain = settings.search_space();
    plain.clear_name();
    plain.clear_seed();
    MASE_ASSIGN_OR_RETURN(const SearchSpace space, SearchSpace::Create(plain, Graph()));
    MASE_RETURN_IF_ERROR(CheckValues(request, space));
    MASE_ASSIGN_OR_RETURN(
        first,
        request.settings_of(space.AssignmentsOf(CornerPoint(space.parameters(), /*last=*/false))));
  }
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(first, begun, environment));
  MASE_ASSIGN_OR_RETURN(const SearchSpace space,
                        SearchSpace::Create(settings.search_space(), session.graph));
  MASE_RETURN_IF_ERROR(CheckValues(request, space));
  MASE_ASSIGN_OR_RETURN(Objective objective, Objective::Create(settings, space.parameters(),
                                                               session.dataset.info().class_names));
  MASE_ASSIGN_OR_RETURN(std::vector<Goal> goals, ReadGoals(config, "search"));
  for (const Goal& goal : goals) objective.Need(SearchMetricOf(goal.metric()));
  MASE_ASSIGN_OR_RETURN(const SearchSample sample,
                        DrawSample(settings, config, session, objective.metrics()));
  if (request.dry_run) {
    environment.reporter.Show(SpaceTable(space), "");
    environment.reporter.Print(absl::StrCat("\nThe search space has ", space.Describe(), ".\n"));
    return RunResult{absl::OkStatus(), session.report, ""};
  }
  MASE_ASSIGN_OR_RETURN(RunDirectory directory, OpenSearchDirectory(request, session));
  const SearchContext context{settings,      space,           objective,
                              session.graph, sample,          request.settings_of,
                              environment,   directory.path()};
  Search search(request, session, context, directory, std::move(goals));
  return CompleteRun(search.Run(), "Search is completed", directory, session);
}

}  // namespace

RunResult SearchRun(const SearchRequest& request, const RunReport& begun,
                    const RunEnvironment& environment) {
  return ResultOf([&] { return Begin(request, begun, environment); }, begun, environment);
}

}  // namespace mase
