#include "mase/search/search_run.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/mix64.h"
#include "mase/base/progress.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table_report.h"
#include "mase/base/threads.h"
#include "mase/config/text_proto.h"
#include "mase/run/goal.h"
#include "mase/run/measure.h"
#include "mase/run/net_figures.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"
#include "mase/run/test_metrics.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"
#include "mase/search/sampler.h"
#include "mase/search/search_plots.h"
#include "mase/search/search_results.h"
#include "mase/search/study.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// What decides the numbers of a study: the settings, but for how long and how fast is searched.
constexpr char kStudySettings[] = "study.textproto";
constexpr char kInterrupted[] = "\"interrupted\"";
constexpr char kStudyFile[] = "study.db";
constexpr int64_t kDefaultTrials = 100;  // Of a space that is larger, where none are given.
constexpr int kRedraws = 2000;           // Of points that the constraints refuse.
constexpr int64_t kMostTrials = 1 << 30;
constexpr uint64_t kMostCounted = 1 << 20;  // Points of a space whose constraints are tried out.
constexpr int64_t kFailuresInARow = 20;     // From the first trial on: then the search ends.

// Rows of the split, drawn by the seed, in their order.
absl::StatusOr<SearchSample> DrawSample(const SearchSettings& settings, const RunConfig& config,
                                        const Session& session) {
  const BasicEvaluation& runner = settings.strategy().sw_runner().basic_evaluation();
  const Split split =
      runner.data_loader() == "train_dataloader" ? Split::kTrain : Split::kValidation;
  absl::StatusOr<SplitData> data = OpenSplit(session, split);
  if (!data.ok()) {
    return Annotate(data.status(), absl::StrCat("trials are measured on the ", SplitName(split),
                                                " split, and never on the test split"));
  }
  MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
  const int64_t all = data->rows();
  const int64_t wanted = runner.num_samples() > 0 ? runner.num_samples()
                         : settings.strategy().sw_runner().has_basic_evaluation() ? all
                                                                                  : int64_t{512};
  SearchSample sample{data->features, data->labels, config.batch_size(), caption};
  if (wanted >= all) return sample;
  std::vector<int64_t> rows(static_cast<size_t>(all));
  std::iota(rows.begin(), rows.end(), 0);
  for (int64_t i = 0; i < wanted; ++i) {  // The first steps of a shuffle.
    const uint64_t draw = Mix64(config.seed(), static_cast<uint64_t>(i));
    std::swap(rows[i], rows[i + static_cast<int64_t>(draw % static_cast<uint64_t>(all - i))]);
  }
  rows.resize(static_cast<size_t>(wanted));
  absl::c_sort(rows);
  Shape shape = data->features.shape();
  shape.set_dim(0, wanted);
  sample.features = Tensor(DType::kFloat32, shape);
  sample.labels = Tensor(DType::kInt64, {wanted});
  const int64_t size = data->features.elements() / all;
  for (int64_t i = 0; i < wanted; ++i) {
    const float* row = data->features.data<float>().data() + rows[i] * size;
    std::copy(row, row + size, sample.features.mutable_data<float>().data() + i * size);
    sample.labels.mutable_data<int64_t>()[i] = data->labels.data<int64_t>()[rows[i]];
  }
  sample.caption = absl::StrCat(WithCommas(wanted), " of ", caption);
  return sample;
}

SamplerSettings SamplerOf(const SearchStrategySettings& strategy) {
  SamplerSettings settings = strategy.setup().sampler();
  if (strategy.name() == "grid") settings.set_name(SamplerSettings::GRID);
  return settings;
}

// The first value of each choice.
Point FirstPoint(const ParameterSpace& space, bool last) {
  Point point;
  for (size_t i = 0; i < space.dimensions(); ++i) {
    const SearchParameter& parameter = space[i];
    const auto size = parameter.size();
    const double value = !size.has_value() ? (last ? parameter.high : parameter.low)
                                           : parameter.ValueAt(last ? *size - 1 : 0);
    point.push_back(space.IsActive(i, point) ? value : kInactive);
  }
  return point;
}

// How far a trial is from a goal, as a share of the limit; 0: met. Unset: a trial cannot tell.
std::optional<double> GoalGap(const Goal& goal, const TrialFigures& figures,
                              const TrialFigures& original) {
  if (goal.figure.size() > 1) return std::nullopt;
  const std::string metric = goal.metric();
  const auto figure = [](const TrialFigures& of, absl::string_view name) {
    const double* value = of.Find(name);
    return value == nullptr ? std::nan("") : *value;
  };
  double value;
  if (metric == "accuracy") {
    value = figure(figures, "accuracy_micro");
  } else if (metric == "accuracy_drop") {
    value = figure(original, "accuracy_micro") - figure(figures, "accuracy_micro");
  } else if (metric == "loss_rise") {
    value = figure(figures, "loss") - figure(original, "loss");
  } else {
    value = figure(figures, metric == "bytes" ? "packed_bytes" : metric);
  }
  if (std::isnan(value)) return std::nullopt;
  const bool below =
      goal.relation == Goal::Relation::kAtMost || goal.relation == Goal::Relation::kBelow;
  const bool strict =
      goal.relation == Goal::Relation::kAbove || goal.relation == Goal::Relation::kBelow;
  const double beyond = below ? value - goal.limit : goal.limit - value;
  const double gap = std::max(0.0, beyond) / std::max(std::abs(goal.limit), 1e-12);
  return strict && beyond == 0 ? 1e-12 : gap;
}

// The settings that must be the same when a search goes on.
std::string StudySettings(const RunConfig& config) {
  RunConfig same = config;
  same.mutable_search()->mutable_strategy()->clear_storage();
  SearchSetup& setup = *same.mutable_search()->mutable_strategy()->mutable_setup();
  setup.clear_n_jobs();
  setup.clear_n_trials();
  setup.clear_timeout();
  setup.clear_save_every_n_trials();
  same.clear_goals();
  same.clear_html();
  same.clear_log_level();
  return ConfigText(same);
}

class Search {
 public:
  Search(const SearchRequest& request, Session& session, const SearchContext& context,
         RunDirectory& directory, std::vector<Goal> goals)
      : request_(request),
        settings_(request.settings.search()),
        session_(session),
        context_(context),
        directory_(directory),
        goals_(std::move(goals)) {}

  absl::Status Run() {
    MASE_RETURN_IF_ERROR(Prepare());
    if (!request_.compare.empty()) return Compare();
    const absl::Status searched = request_.apply.has_value() ? absl::OkStatus() : RunTrials();
    MASE_RETURN_IF_ERROR(study_->Flush());
    MASE_RETURN_IF_ERROR(WriteResults());
    MASE_RETURN_IF_ERROR(searched);
    return request_.worker ? absl::OkStatus() : Conclude();
  }

 private:
  absl::Status Prepare() {
    const SearchSetup& setup = settings_.strategy().setup();
    const SamplerSettings sampler = SamplerOf(settings_.strategy());
    grid_ = sampler.name() == SamplerSettings::GRID;
    const ParameterSpace& space = context_.space.parameters();
    MASE_ASSIGN_OR_RETURN(sampler_, MakeSampler(sampler, space, context_.objective.directions(),
                                                request_.settings.seed()));
    StorageSettings storage = settings_.strategy().storage();
    if (storage.url().empty()) {
      MASE_ASSIGN_OR_RETURN(const std::string file, directory_.Reserve(kStudyFile));
      storage.set_url(absl::StrCat("sqlite:///", fs::absolute(file).string()));
    }
    const std::string& project = request_.settings.project();
    MASE_ASSIGN_OR_RETURN(
        study_, Study::Open(storage,
                            {.name = project.empty() ? "search" : project,
                             .directions = context_.objective.directions(),
                             .metric_names = context_.objective.names(),
                             .space = space},
                            [this](absl::string_view text) { session_.reporter().Warn(text); }));
    MASE_RETURN_IF_ERROR(study_->Refresh());
    for (const Trial* trial : study_->history().trials()) Remember(*trial);
    const absl::optional<uint64_t> size = space.size();
    const bool small = size.has_value() && *size <= uint64_t{1} << 40;
    target_ = setup.has_n_trials() ? setup.n_trials()
              : grid_ && small     ? static_cast<int64_t>(*size)
              : small              ? std::min<int64_t>(static_cast<int64_t>(*size), kDefaultTrials)
                                   : kDefaultTrials;
    target_ = std::min(target_, AllowedPoints());
    jobs_ =
        setup.n_jobs() > 0 ? setup.n_jobs() : static_cast<int>(std::thread::hardware_concurrency());
    if (setup.has_timeout()) deadline_ = absl::Now() + absl::Seconds(setup.timeout());
    if (session_.environment.watch_interrupt) {
      interrupted_ = &session_.environment.watch_interrupt();
    }
    MASE_ASSIGN_OR_RETURN(original_, FiguresOf(context_, session_.graph));
    Announce(sampler);
    return ChooseRunner();
  }

  // How many points the constraints on choices allow, where that can be counted.
  int64_t AllowedPoints() const {
    const ParameterSpace& space = context_.space.parameters();
    const auto size = space.size();
    if (!size.has_value() || *size > kMostCounted) return kMostTrials;
    int64_t allowed = 0;
    for (uint64_t i = 0; i < *size; ++i) {
      allowed += context_.objective.Refusal(space.PointAt(i)).empty();
    }
    return allowed;
  }

  void Announce(const SamplerSettings& sampler) const {
    Reporter& reporter = session_.reporter();
    reporter.Show(SpaceTable(context_.space), "space.csv");
    reporter.Print(absl::StrCat("\nThe search space has ", context_.space.Describe(), ".\n"));
    const std::string points =
        absl::StrCat(InfoOf(sampler.name()).text, ", ", WithCommas(target_), " trials");
    reporter.Print(
        absl::StrCat("Sampler ", points, ", each measured on ", context_.sample.caption, ".\n"));
  }

  // Formats alone are tried the fast way, if that finds what an ordinary run finds.
  absl::Status ChooseRunner() {
    const SearchStrategySettings& strategy = settings_.strategy();
    fast_ = context_.space.formats_alone() && !strategy.sw_runner().has_basic_train();
    for (const bool last : {false, true}) {
      if (!fast_) break;
      const Point point = FirstPoint(context_.space.parameters(), last);
      MASE_ASSIGN_OR_RETURN(const std::unique_ptr<TrialRunner> slow, MakeRunner(false));
      absl::StatusOr<std::unique_ptr<TrialRunner>> quick = MakeRunner(true);
      if (absl::IsUnimplemented(quick.status())) fast_ = false;
      if (!fast_) break;
      MASE_RETURN_IF_ERROR(quick.status());
      const absl::StatusOr<TrialFigures> a = slow->Run(0, point), b = (*quick)->Run(0, point);
      fast_ = a.ok() == b.ok() && (!a.ok() || a->software == b->software);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<TrialRunner>> MakeRunner(bool fast) const {
    return fast ? FormatTrials(context_) : SettingsTrials(context_);
  }

  bool Interrupted() const { return interrupted_ != nullptr && *interrupted_; }

  absl::Status RunTrials() {
    known_before_ = static_cast<int64_t>(study_->history().size());
    const absl::Time began = absl::Now();
    progress_.emplace("search", target_, "trial", session_.reporter().progress());
    const absl::Status status = request_.deterministic ? RunBatches()
                                : jobs_ <= 1           ? Work(nullptr)
                                                       : RunWorkers();
    progress_.reset();
    MASE_RETURN_IF_ERROR(status);
    const int64_t tried = static_cast<int64_t>(study_->history().size()) - known_before_;
    if (tried > 0) {
      session_.reporter().Info(absl::StrFormat(
          "%d trials in %.2f s; of each %.3f ms to choose it and %.3f ms to measure it", tried,
          absl::ToDoubleSeconds(absl::Now() - began),
          absl::ToDoubleMilliseconds(choosing_) / static_cast<double>(tried),
          static_cast<double>(measuring_ns_) / 1e6 / static_cast<double>(tried)));
    }
    if (Interrupted()) {
      return absl::CancelledError(
          absl::StrCat("interrupted after ", study_->history().size(), " of ", target_,
                       " trials; the same command with --run_dir=", directory_.path(), " goes on"));
    }
    if (complete_ == 0) {
      return absl::UnknownError(absl::StrCat("all ", study_->history().size(),
                                             " trials failed; the first: ", first_error_));
    }
    return absl::OkStatus();
  }

  // Takes trials until there are none, together with other threads where there is a share.
  absl::Status Work(const ThreadShare*) {
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<TrialRunner> runner, MakeRunner(fast_));
    for (;;) {
      std::optional<Trial> trial;
      {
        const absl::MutexLock lock(&mutex_);
        MASE_ASSIGN_OR_RETURN(trial, Begin());
      }
      if (!trial.has_value()) return absl::OkStatus();
      Evaluate(*runner, *trial);
      const absl::MutexLock lock(&mutex_);
      MASE_RETURN_IF_ERROR(Finish(*std::move(trial)));
      MASE_RETURN_IF_ERROR(SaveSometimes());
    }
  }

  absl::Status RunWorkers() {
    std::vector<std::thread> threads;
    std::vector<absl::Status> ends(static_cast<size_t>(jobs_));
    for (int i = 0; i < jobs_; ++i) {
      threads.emplace_back([this, i, &ends] {
        const ThreadShare share(jobs_);
        ends[i] = Work(&share);
        if (!ends[i].ok()) stop_ = true;
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& end : ends) MASE_RETURN_IF_ERROR(end);
    return absl::OkStatus();
  }

  // All trials of a batch are chosen from what the batches before it found.
  absl::Status RunBatches() {
    const int workers = std::min(jobs_, request_.batch);
    std::vector<std::unique_ptr<TrialRunner>> runners;
    for (int i = 0; i < workers; ++i) {
      MASE_ASSIGN_OR_RETURN(auto runner, MakeRunner(fast_));
      runners.push_back(std::move(runner));
    }
    for (;;) {
      std::vector<Trial> batch;
      while (static_cast<int>(batch.size()) < request_.batch) {
        MASE_ASSIGN_OR_RETURN(std::optional<Trial> trial, Begin());
        if (!trial.has_value()) break;
        trial->start = trial->complete = absl::UnixEpoch();
        batch.push_back(*std::move(trial));
      }
      if (batch.empty()) return absl::OkStatus();
      std::atomic<size_t> next = 0;
      const auto work = [&](TrialRunner& runner) {
        for (size_t i = next++; i < batch.size(); i = next++) Evaluate(runner, batch[i]);
      };
      std::vector<std::thread> threads;
      for (int i = 1; i < workers; ++i) {
        threads.emplace_back([&, i] {
          const ThreadShare share(workers);
          work(*runners[i]);
        });
      }
      {
        const ThreadShare share(workers);
        work(*runners[0]);
      }
      for (std::thread& thread : threads) thread.join();
      for (Trial& trial : batch) MASE_RETURN_IF_ERROR(Finish(std::move(trial)));
      MASE_RETURN_IF_ERROR(SaveSometimes());
    }
  }

  // The next trial with its point; nothing where the search is over.
  absl::StatusOr<std::optional<Trial>> Begin() {
    const auto none = std::optional<Trial>();
    const int64_t begun = static_cast<int64_t>(study_->history().size() + study_->running().size());
    const bool hopeless = complete_ == 0 && failed_ >= kFailuresInARow;
    if (stop_ || Interrupted() || hopeless || begun >= target_ || absl::Now() >= deadline_) {
      return none;
    }
    MASE_ASSIGN_OR_RETURN(std::vector<Trial> trials, study_->Begin(1));
    Trial trial = std::move(trials[0]);
    if (trial.point.empty()) {
      const absl::Time before = absl::Now();
      MASE_ASSIGN_OR_RETURN(std::optional<Point> point, ChoosePoint(trial.number));
      choosing_ += absl::Now() - before;
      if (!point.has_value()) {  // Other workers took the last.
        trial.state = TrialState::kFailed;
        trial.attributes[kError] = "\"there was no point left\"";
        MASE_RETURN_IF_ERROR(study_->Finish(std::move(trial)));
        return none;
      }
      trial.point = *std::move(point);
      MASE_RETURN_IF_ERROR(study_->Choose(trial));
    }
    return std::optional<Trial>(std::move(trial));
  }

  // A point that was not tried before and that the constraints on choices allow; nothing where
  // there is none left. Points that are refused count as trials that run, of which samplers learn
  // to look elsewhere.
  absl::StatusOr<std::optional<Point>> ChoosePoint(int64_t number) {
    if (!grid_) refused_.clear();
    std::string refusal;
    for (int draw = 0; draw < kRedraws; ++draw) {
      std::vector<Trial> running(study_->running().begin(), study_->running().end());
      running.insert(running.end(), refused_.begin(), refused_.end());
      absl::StatusOr<Point> point = sampler_->Sample(number, study_->history(), running);
      if (absl::IsOutOfRange(point.status())) return std::optional<Point>();
      MASE_RETURN_IF_ERROR(point.status());
      refusal = context_.objective.Refusal(*point);
      if (refusal.empty()) return std::optional<Point>(*std::move(point));
      refused_.push_back({.number = number + kMostTrials + draw, .point = *std::move(point)});
    }
    return absl::InvalidArgumentError(absl::StrCat(kRedraws, " points in a row violate \"", refusal,
                                                   "\"; widen the space or the constraint"));
  }

  void Evaluate(TrialRunner& runner, Trial& trial) {
    const absl::Time before = absl::Now();
    const absl::StatusOr<TrialFigures> figures = runner.Run(trial.number, trial.point);
    measuring_ns_ += absl::ToInt64Nanoseconds(absl::Now() - before);
    absl::Status status = figures.status();
    if (figures.ok()) {
      SetFigures(*figures, trial);
      absl::StatusOr<std::vector<double>> values = context_.objective.ValuesOf(*figures);
      status = values.status();
      if (values.ok()) {
        trial.values = *std::move(values);
        trial.constraints = context_.objective.ConstraintsOf(*figures);
      }
    }
    trial.state = status.ok() ? TrialState::kComplete : TrialState::kFailed;
    if (!status.ok()) trial.attributes[kError] = ChoiceJson(std::string(status.message()));
    if (absl::IsCancelled(status)) trial.attributes[kError] = kInterrupted;
  }

  void Remember(const Trial& trial) {
    complete_ += trial.state == TrialState::kComplete;
    failed_ += trial.state == TrialState::kFailed;
  }

  absl::Status Finish(Trial trial) {
    if (trial.state == TrialState::kFailed && trial.attributes[kError] == kInterrupted) {
      MASE_RETURN_IF_ERROR(study_->Enqueue(trial.point));  // For the command that goes on.
      return study_->Finish(std::move(trial));
    }
    complete_ += trial.state == TrialState::kComplete;
    if (trial.state == TrialState::kFailed) {
      const std::string error = trial.attributes[kError];
      if (failed_++ == 0) first_error_ = absl::StrCat("trial ", trial.number, ": ", error);
      if (failed_ <= 3) {
        session_.reporter().Warn(absl::StrCat("trial ", trial.number, " failed: ", error));
      }
    }
    const bool single = context_.objective.directions().size() == 1;
    if (single && !trial.values.empty() && Violation(trial) == 0) {
      const bool maximize = context_.objective.directions()[0] == Direction::kMaximize;
      const bool better =
          !best_.has_value() || (maximize ? trial.values[0] > *best_ : trial.values[0] < *best_);
      if (better) best_ = trial.values[0], best_number_ = trial.number;
    }
    MASE_RETURN_IF_ERROR(study_->Finish(std::move(trial)));
    progress_->Update(static_cast<int64_t>(study_->history().size()), [this] {
      std::string text;
      if (best_.has_value()) text = absl::StrFormat("best %.4g (trial %d)", *best_, best_number_);
      if (failed_ > 0) absl::StrAppend(&text, " ", failed_, " failed");
      return text;
    });
    return absl::OkStatus();
  }

  // Slow trials are kept as they end, fast ones every few.
  absl::Status SaveSometimes() {
    const absl::Time now = absl::Now();
    if (now < next_save_) return absl::OkStatus();
    next_save_ = now + absl::Seconds(1);
    return study_->Flush();
  }

  std::vector<const Trial*> Front() const {
    return BestTrials(study_->history().trials(), context_.objective.directions());
  }

  absl::Status WriteResults() {
    const auto trials = study_->history().trials();
    const std::vector<const Trial*> front = Front();
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
    MASE_RETURN_IF_ERROR(directory_.Write("progress.svg", QualityPlot(trials, context_.objective)));
    if (const std::string plot = FrontPlot(trials, front, context_.objective); !plot.empty()) {
      MASE_RETURN_IF_ERROR(directory_.Write("front.svg", plot));
    }
    const Table importances =
        ImportanceTable(trials, context_.space, context_.objective, request_.settings.seed());
    if (importances.num_rows() == 0) return absl::OkStatus();
    *session_.report.add_tables() = ReportOf(importances);
    session_.reporter().Show(importances, "importances.csv");
    return directory_.Write("importances.csv", importances.Csv());
  }

  // Each sampler with each seed, in studies of their own that are not kept.
  absl::Status Compare() {
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<TrialRunner> runner, MakeRunner(fast_));
    const auto& directions = context_.objective.directions();
    std::map<std::string, Trial> known;  // By the point.
    std::vector<std::vector<std::unique_ptr<Study>>> studies;
    const int64_t runs = static_cast<int64_t>(request_.compare.size()) * request_.seeds;
    Progress progress("compare", runs, "study", session_.reporter().progress());
    int64_t done = 0;
    for (const SamplerSettings::Name name : request_.compare) {
      std::vector<std::unique_ptr<Study>>& of_sampler = studies.emplace_back();
      const int seeds = name == SamplerSettings::GRID ? 1 : request_.seeds;
      for (int seed = 0; seed < seeds; ++seed) {
        MASE_ASSIGN_OR_RETURN(of_sampler.emplace_back(), RunCompared(name, seed, *runner, known));
        if (Interrupted()) return absl::CancelledError("interrupted while samplers are compared");
        progress.Update(++done);
      }
    }
    std::vector<const Trial*> all;
    for (const auto& of_sampler : studies) {
      for (const auto& study : of_sampler) {
        all.insert(all.end(), study->history().trials().begin(), study->history().trials().end());
      }
    }
    const std::vector<double> reference = ReferenceOf(all, directions);
    std::vector<SamplerCurves> curves;
    for (size_t i = 0; i < studies.size(); ++i) {
      SamplerCurves& sampler = curves.emplace_back();
      sampler.sampler = std::string(InfoOf(request_.compare[i]).text);
      for (const auto& study : studies[i]) {
        sampler.curves.push_back(QualityCurve(study->history().trials(), directions, reference));
      }
    }
    const Table table = CompareTable(curves, context_.objective);
    MASE_RETURN_IF_ERROR(directory_.Write("compare.csv", table.Csv()));
    MASE_RETURN_IF_ERROR(directory_.Write("compare.md", table.Markdown()));
    MASE_RETURN_IF_ERROR(directory_.Write("compare.svg", ComparePlot(curves, context_.objective)));
    session_.reporter().Show(table, "compare.csv");
    *session_.report.add_tables() = ReportOf(table);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Study>> RunCompared(SamplerSettings::Name name, int seed,
                                                     TrialRunner& runner,
                                                     std::map<std::string, Trial>& known) {
    const ParameterSpace& space = context_.space.parameters();
    SamplerSettings settings = settings_.strategy().setup().sampler();
    settings.set_name(name);
    MASE_ASSIGN_OR_RETURN(sampler_, MakeSampler(settings, space, context_.objective.directions(),
                                                request_.settings.seed() + seed));
    MASE_ASSIGN_OR_RETURN(
        study_, Study::Open(StorageSettings(), {.name = "compare",
                                                .directions = context_.objective.directions(),
                                                .metric_names = context_.objective.names(),
                                                .space = space}));
    for (int64_t i = 0; i < target_ && !Interrupted(); ++i) {
      MASE_ASSIGN_OR_RETURN(std::vector<Trial> begun, study_->Begin(1));
      Trial trial = std::move(begun[0]);
      MASE_ASSIGN_OR_RETURN(std::optional<Point> point, ChoosePoint(trial.number));
      if (!point.has_value()) break;
      trial.point = *std::move(point);
      MASE_RETURN_IF_ERROR(study_->Choose(trial));
      const std::string key = context_.space.SampledConfig(trial.point);
      if (const auto found = known.find(key); found != known.end()) {
        trial.state = found->second.state;
        trial.values = found->second.values;
        trial.constraints = found->second.constraints;
      } else {
        Evaluate(runner, trial);
        known[key] = trial;
      }
      MASE_RETURN_IF_ERROR(study_->Finish(std::move(trial)));
    }
    return std::move(study_);
  }

  // The trial that is to be applied, and why it.
  absl::StatusOr<const Trial*> Winner(std::string& why) const {
    if (request_.apply.has_value()) {
      const Trial* trial = study_->history().Find(*request_.apply);
      if (trial == nullptr || trial->point.empty()) {
        return absl::NotFoundError(absl::StrCat("the study has no trial ", *request_.apply,
                                                "; it has ", study_->history().size(),
                                                " trials, from 0 on"));
      }
      why = "named by --apply";
      return trial;
    }
    const auto& directions = context_.objective.directions();
    std::vector<const Trial*> meeting;
    const Trial* nearest = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const Trial* trial : study_->history().trials()) {
      if (trial->state != TrialState::kComplete || Violation(*trial) > 0) continue;
      const TrialFigures figures = FiguresOfTrial(*trial);
      double gap = 0;
      for (const Goal& goal : goals_) gap += GoalGap(goal, figures, original_).value_or(0);
      if (gap == 0) meeting.push_back(trial);
      if (gap < least) least = gap, nearest = trial;
    }
    if (goals_.empty() || !meeting.empty()) {
      why = directions.size() > 1 ? "the compromise of the front" : "the best";
      if (!goals_.empty()) why = absl::StrCat(why, " of ", meeting.size(), " that meet the goals");
      const std::vector<const Trial*> best = BestTrials(
          goals_.empty() ? study_->history().trials() : absl::Span<const Trial* const>(meeting),
          directions);
      return ByFreeObjectives(best);
    }
    why = "none meets the goals on the sample, and this one is nearest";
    return nearest;
  }

  // The compromise by the objectives that no goal bounds, if there are such.
  const Trial* ByFreeObjectives(const std::vector<const Trial*>& best) const {
    const auto& names = context_.objective.names();
    std::vector<Trial> reduced;
    std::vector<Direction> directions;
    std::vector<size_t> free;
    for (size_t i = 0; i < names.size(); ++i) {
      const bool bounded = absl::c_any_of(goals_, [&](const Goal& goal) {
        const std::string metric = goal.metric();
        return absl::StartsWith(names[i], "accuracy") ? absl::StartsWith(metric, "accuracy")
               : names[i] == "packed_bytes"           ? metric == "bytes"
                                                      : metric == names[i];
      });
      if (!bounded) free.push_back(i), directions.push_back(context_.objective.directions()[i]);
    }
    if (free.empty() || free.size() == names.size()) {
      return Compromise(best, context_.objective.directions());
    }
    std::vector<const Trial*> pointers;
    for (const Trial* trial : best) {
      Trial& copy = reduced.emplace_back();
      copy.number = trial->number;
      for (const size_t i : free) copy.values.push_back(trial->values[i]);
    }
    for (const Trial& trial : reduced) pointers.push_back(&trial);
    return study_->history().Find(Compromise(pointers, directions)->number);
  }

  // Measures the winner on the whole test split, and applies it where that is asked for.
  absl::Status Conclude() {
    std::string why;
    MASE_ASSIGN_OR_RETURN(const Trial* winner, Winner(why));
    if (winner == nullptr) {
      return absl::AbortedError("no trial satisfies the constraints of the search space");
    }
    Reporter& reporter = session_.reporter();
    reporter.Print(absl::StrCat("\nTrial ", winner->number, " is ", why, ".\n"));
    MASE_ASSIGN_OR_RETURN(const Graph net, NetOf(context_, winner->number, winner->point));
    MASE_RETURN_IF_ERROR(CheckWinner(*winner, net));
    MASE_RETURN_IF_ERROR(MeasureWinner(net));
    if (request_.apply_best || request_.apply.has_value()) return Apply(*winner);
    return absl::OkStatus();
  }

  // The fast way must have found what an ordinary run of these settings finds.
  absl::Status CheckWinner(const Trial& winner, const Graph& net) const {
    if (!fast_ || winner.state != TrialState::kComplete) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(const TrialFigures again, FiguresOf(context_, net));
    const TrialFigures found = FiguresOfTrial(winner);
    if (again.software == found.software) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("trial ", winner.number, " was found with loss ", found.software.at("loss"),
                     ", and an ordinary run of its settings has ", again.software.at("loss")));
  }

  absl::Status MeasureWinner(const Graph& net) {
    const Split split = Split::kTest;
    if (!session_.dataset.Has(split)) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split));
    Table table({{"whole test split"}, {"accuracy", "", 4}, {"loss", "", 4}});
    for (const auto& [graph, stage] :
         {std::pair<const Graph*, const char*>{&session_.graph, kOriginal},
          std::pair<const Graph*, const char*>{&net, kTransformed}}) {
      // Initial weights have no accuracy worth knowing.
      if (graph != &net && session_.report.model().untrained()) continue;
      MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(*graph));
      MASE_ASSIGN_OR_RETURN(
          const Measurement measured,
          MeasureNet(*executor, data, session_.dataset.num_classes(), request_.settings));
      ReportMeasurement(measured, stage, split, session_.dataset.info().class_names,
                        session_.report);
      MASE_RETURN_IF_ERROR(
          ReportNeededFigures(*graph, *executor, data.features, stage, session_.report));
      table.AddRow({graph == &net ? "winner" : "net as it came", measured.evaluation.accuracy,
                    measured.evaluation.loss});
      MASE_RETURN_IF_ERROR(
          CheckMeasured(measured.evaluation, graph == &net ? "winning" : "original", split));
    }
    session_.reporter().Print("\n");
    session_.reporter().Show(table, "");
    if (const auto* comparison = ReportComparison(kOriginal, kTransformed, session_.report)) {
      session_.reporter().Print(ComparisonText(*comparison));
    }
    return absl::OkStatus();
  }

  // An ordinary run of the trial's settings, in a folder of the search's.
  absl::Status Apply(const Trial& trial) {
    MASE_ASSIGN_OR_RETURN(RunConfig config,
                          context_.settings_of(context_.space.AssignmentsOf(trial.point)));
    config.clear_search();
    config.clear_goals();
    const std::string name = absl::StrCat("trial-", trial.number);
    config.set_run_dir(directory_.File(name));
    std::error_code error;
    fs::remove_all(config.run_dir(), error);
    const bool trains = settings_.strategy().sw_runner().has_basic_train();
    const char* action = trains ? "train" : "transform";
    RunReport begun = BeginReport(action);
    *begun.mutable_command_line() = session_.report.command_line();
    Reporter silent;
    RunEnvironment environment = session_.environment;
    const RunEnvironment quiet = {.reporter = silent,
                                  .passes = environment.passes,
                                  .data = environment.data,
                                  .watch_interrupt = environment.watch_interrupt};
    const RunResult result =
        trains ? TrainRun(config, begun, quiet) : TransformRun(config, begun, quiet);
    MASE_RETURN_IF_ERROR(Annotate(result.status, absl::StrCat("applying trial ", trial.number)));
    for (const std::string& file : result.report.artifacts()) {
      MASE_RETURN_IF_ERROR(directory_.Reserve(absl::StrCat(name, "/", file)).status());
    }
    session_.reporter().Info(absl::StrCat("Applied trial ", trial.number, ": ", result.directory,
                                          " is a ", action, " run of its settings"));
    return absl::OkStatus();
  }

  const SearchRequest& request_;
  const SearchSettings& settings_;
  Session& session_;
  const SearchContext& context_;
  RunDirectory& directory_;
  const std::vector<Goal> goals_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Study> study_;
  TrialFigures original_;
  bool grid_ = false, fast_ = false;
  int64_t target_ = 0;
  int jobs_ = 1;
  absl::Time deadline_ = absl::InfiniteFuture(), next_save_ = absl::InfinitePast();
  const std::atomic<bool>* interrupted_ = nullptr;
  std::atomic<bool> stop_ = false;
  absl::Mutex mutex_;  // Guards what follows, study and sampler while threads run.
  std::optional<Progress> progress_;
  std::vector<Trial> refused_;
  int64_t known_before_ = 0;
  absl::Duration choosing_;
  std::atomic<int64_t> measuring_ns_ = 0;
  int64_t complete_ = 0, failed_ = 0, best_number_ = -1;
  std::optional<double> best_;
  std::string first_error_;
};

// The directory of the search: new, or that of the same search before.
absl::StatusOr<RunDirectory> OpenDirectory(const RunConfig& config, const Session& session) {
  std::error_code error;
  if (!config.has_run_dir() || !fs::exists(config.run_dir(), error)) {
    MASE_ASSIGN_OR_RETURN(
        RunDirectory made,
        RunDirectory::Create(config, "search", session.graph.name(), session.dataset.name()));
    MASE_RETURN_IF_ERROR(made.WriteSettings(config));
    MASE_RETURN_IF_ERROR(made.Write(kStudySettings, StudySettings(config)));
    return made;
  }
  absl::StatusOr<RunDirectory> directory = RunDirectory::Reopen(config.run_dir());
  if (absl::IsNotFound(directory.status())) {
    return absl::AlreadyExistsError(
        absl::StrCat("run_dir ", config.run_dir(), " exists and is no search"));
  }
  MASE_RETURN_IF_ERROR(directory.status());
  MASE_ASSIGN_OR_RETURN(const std::string before,
                        ReadFile(directory->File(kStudySettings), limits::kMaxConfigFileBytes));
  if (before != StudySettings(config)) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.run_dir(), ": was searched with other settings (", kStudySettings,
                     "); name another --run_dir for another search"));
  }
  MASE_RETURN_IF_ERROR(directory->Reserve(kStudySettings).status());
  return directory;
}

absl::StatusOr<RunResult> Begin(const SearchRequest& request, const RunReport& begun,
                                const RunEnvironment& outer) {
  const RunConfig& config = request.settings;
  if (!config.has_search()) {
    return absl::InvalidArgumentError(
        "nothing to search: want a settings file with [search.search_space] and "
        "[search.strategy], --config=FILE");
  }
  const SearchSettings& settings = config.search();
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
    MASE_ASSIGN_OR_RETURN(
        first,
        request.settings_of(space.AssignmentsOf(FirstPoint(space.parameters(), /*last=*/false))));
  }
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(first, begun, environment));
  MASE_ASSIGN_OR_RETURN(const SearchSpace space,
                        SearchSpace::Create(settings.search_space(), session.graph));
  MASE_ASSIGN_OR_RETURN(const Objective objective, Objective::Create(settings, space.parameters()));
  MASE_ASSIGN_OR_RETURN(const SearchSample sample, DrawSample(settings, config, session));
  MASE_ASSIGN_OR_RETURN(std::vector<Goal> goals, ReadGoals(config, "search"));
  if (request.dry_run) {
    environment.reporter.Show(SpaceTable(space), "");
    environment.reporter.Print(absl::StrCat("\nThe search space has ", space.Describe(), ".\n"));
    return RunResult{absl::OkStatus(), session.report, ""};
  }
  MASE_ASSIGN_OR_RETURN(RunDirectory directory, OpenDirectory(config, session));
  const SearchContext context{settings,      space,           objective,
                              session.graph, sample,          request.settings_of,
                              environment,   directory.path()};
  Search search(request, session, context, directory, std::move(goals));
  return CompleteRun(search.Run(), "Search is completed", directory, session);
}

}  // namespace

RunResult SearchRun(const SearchRequest& request, const RunReport& begun,
                    const RunEnvironment& environment) {
  return ResultOf([&] { return Begin(request, begun, environment); }, begun);
}

}  // namespace mase
