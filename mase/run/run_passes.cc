#include "mase/run/run_passes.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "mase/base/files.h"
#include "mase/base/last_words.h"
#include "mase/base/limits.h"
#include "mase/base/progress.h"
#include "mase/base/quote.h"
#include "mase/base/random.h"
#include "mase/base/recorded.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/dataset.h"
#include "mase/exec/executor.h"
#include "mase/exec/run_net.h"
#include "mase/model/checkpoint.h"
#include "mase/pipeline/reproducer.h"
#include "mase/run/execution.h"
#include "mase/run/measure.h"
#include "mase/run/net_figures.h"
#include "mase/run/open_data.h"
#include "mase/run/open_model.h"
#include "mase/run/report_json.h"
#include "mase/run/watched_rows.h"

namespace mase {
namespace {

// `rows` of the tensor's rows, evenly spread.
template <typename T>
Tensor SpreadRows(const Tensor& all, int64_t rows) {
  Shape shape = all.shape();
  shape.set_dim(0, rows);
  Tensor spread(all.dtype(), shape);
  const int64_t size = all.elements() / all.shape()[0];
  for (int64_t i = 0; i < rows; ++i) {
    const T* row = all.data<T>().data() + i * all.shape()[0] / rows * size;
    std::copy(row, row + size, spread.mutable_data<T>().data() + i * size);
  }
  return spread;
}

// Ends a run between passes where the user wants it to end.
class InterruptWatch final : public Instrumentation {
 public:
  explicit InterruptWatch(const RunEnvironment& environment) : environment_(environment) {}
  absl::Status BeforePass(const RunningPass& pass, const Graph&) override {
    return Annotate(environment_.CheckInterrupt(), absl::StrCat("before ", pass.step.info->name));
  }

 private:
  const RunEnvironment& environment_;
};

// Has a summary left behind by a pass that ends the program: what is known of the run, without what
// passes found, which may be much.
class CrashSummary final : public Instrumentation {
 public:
  CrashSummary(const Session& session, std::string path)
      : session_(session), path_(std::move(path)) {}

  absl::Status BeforePass(const RunningPass& pass, const Graph&) override {
    constexpr char kReason[] = "@reason@";
    RunReport report = session_.report;
    for (PassReport& done : *report.mutable_passes()) done.clear_result(), done.clear_tables();
    report.set_status(kCrashed);
    report.set_error(absl::StrCat(pass.last_words.who, " ", kReason));
    report.set_seconds(absl::ToDoubleSeconds(RecordedTime() - session_.began));
    LastWords::File file = {.path = path_, .bytes = ReportJson(report)};
    file.reason_at = file.bytes.find(kReason);
    file.bytes.erase(file.reason_at, sizeof(kReason) - 1);
    pass.last_words.files.push_back(std::move(file));
    return absl::OkStatus();
  }

 private:
  const Session& session_;
  const std::string path_;
};

// What the passes of one run get from it.
class SessionHost : public PassHost {
 public:
  // Files that passes write wait in `transformed`.
  SessionHost(const RunConfig& config, const Session& session, Transformed& transformed)
      : config_(config),
        session_(session),
        transformed_(transformed),
        split_(SplitByName(config.evaluation().split())) {}

  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() override {
    const bool has_train = session_.dataset.Has(Split::kTrain);
    MASE_ASSIGN_OR_RETURN(const SplitData data,
                          OpenSplit(session_, has_train ? Split::kTrain : split_));
    const int64_t rows = std::min<int64_t>(config_.batch_size(), data.rows());
    return std::map<std::string, Tensor>{
        {session_.graph.placeholders()[0]->name(), data.features.Rows(0, rows)}};
  }

  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view name) override {
    Split split = session_.dataset.Has(Split::kTrain) ? Split::kTrain : split_;
    if (rows < 1) return absl::InvalidArgumentError(absl::StrCat(rows, " rows asked for, want 1"));
    if (!name.empty()) {
      split = SplitByName(name);
      // A name that is none would be the rows that the net is judged by.
      if (SplitName(split) != name) {
        return absl::NotFoundError(absl::StrCat("there is no split ", Quoted(name),
                                                "; there are train, validation, test and pred"));
      }
    }
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split));
    MASE_ASSIGN_OR_RETURN(std::string caption, session_.dataset.Caption(split));
    const bool all = rows >= data.rows();
    if (!all) caption = absl::StrCat(WithCommas(rows), " of ", caption);
    const bool labelled = data.labels.elements() == data.rows();
    return SampleRows{{{session_.graph.placeholders()[0]->name(),
                        all ? data.features : SpreadRows<float>(data.features, rows)}},
                      all || !labelled ? data.labels : SpreadRows<int64_t>(data.labels, rows),
                      std::move(caption)};
  }

  absl::Status Progress(int64_t done, int64_t total, absl::string_view unit) override {
    if (!progress_.has_value()) {
      progress_.emplace("pass", total, std::string(unit), session_.reporter().progress());
    }
    progress_->Update(done);
    if (done >= total) progress_.reset();
    return session_.environment.CheckInterrupt();
  }

  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) override {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split_));
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options()));
    return mase::Evaluate(
        *executor, data.features, data.labels, config_.batch_size(),
        [this](int64_t, absl::Span<const float>) { return session_.environment.CheckInterrupt(); });
  }

  absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes) override {
    return NodeValues(graph, inputs, nodes, config_.batch_size(), options());
  }

  uint64_t seed() const override { return config_.seed(); }

  absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name) override {
    if (session_.environment.passes == nullptr) return PassHost::LookUpPass(name);
    return session_.environment.passes->LookUp(name);
  }

  // The same and more, for the report.
  absl::StatusOr<Measurement> Measure(const Graph& graph, absl::string_view stage,
                                      RunReport& report) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split_));
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options()));
    WatchedRows watched("testing", absl::StrCat("while the ", stage, " net was tested"),
                        data.rows(), config_.batch_size(), session_.environment);
    absl::StatusOr<Measurement> measured =
        MeasureNet(*executor, data, session_.dataset.num_classes(), config_, watched.Sink());
    MASE_RETURN_IF_ERROR(watched.Ending(measured.status()));
    ReportMeasurement(*measured, stage, split_, session_.dataset.info().class_names, report);
    MASE_RETURN_IF_ERROR(ReportNeededFigures(graph, *executor, data.features, stage, report));
    return measured;
  }

  void Print(absl::string_view text) override { session_.reporter().Print(text); }
  void Show(const Table& table, absl::string_view whole) override {
    session_.reporter().Show(table, whole);
  }

  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    transformed_.files.emplace_back(path, contents);
    return absl::OkStatus();
  }

  absl::Status WriteGraph(absl::string_view path, const Graph& graph) override {
    for (const SavedGraph& saved : transformed_.graphs) {
      if (saved.path != path) continue;
      return absl::AlreadyExistsError(
          absl::StrCat("another pass of the run keeps a net as ", path));
    }
    std::map<std::string, std::string> facts;
    if (session_.recipe.has_value()) facts[kRecipeFact] = RecipeText(*session_.recipe);
    transformed_.graphs.push_back({std::string(path), graph.Clone(), std::move(facts)});
    return absl::OkStatus();
  }

  absl::StatusOr<Graph> ReadGraph(absl::string_view path) override {
    MASE_ASSIGN_OR_RETURN(const std::string file, CheckpointOfRun(path));
    MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(file));
    if (checkpoint.graph.has_value()) return *std::move(checkpoint.graph);
    return absl::InvalidArgumentError(absl::StrCat(file, " holds tensors, but no graph"));
  }

  absl::StatusOr<std::string> ReadText(absl::string_view path) override {
    return ReadFile(path, limits::kMaxConfigFileBytes);
  }

 private:
  ExecutorOptions options() const { return ExecutorOptionsOf(config_, session_.environment); }

  const RunConfig& config_;
  const Session& session_;
  Transformed& transformed_;
  const Split split_;
  std::optional<mase::Progress> progress_;  // Of the pass that is running, where it says how far.
};

absl::StatusOr<Instruments> MakeInstruments(const RunConfig& config, const Pipeline& pipeline,
                                            const RunEnvironment& environment) {
  if (!environment.instruments) return Instruments();
  return environment.instruments(pipeline, config);
}

// The data of a reproducer's settings. Who gets the file may have neither them nor the run's
// checkpoint, which tells how they are read; the net is in the file. Then a pass that asks for data
// gets the reason, and others run.
Dataset DataOf(const RunConfig& settings, absl::string_view action,
               const RunEnvironment& environment) {
  const auto open = [&]() -> absl::StatusOr<OpenedData> {
    MASE_ASSIGN_OR_RETURN(const std::optional<OpenedCheckpoint> opened,
                          OpenCheckpoint(settings.model(), environment.reporter));
    return OpenData(settings, action, opened, environment);
  };
  absl::StatusOr<OpenedData> data = open();
  if (data.ok()) return data->dataset;
  environment.reporter.Warn(
      absl::StrCat("there are no data for the pass: ", data.status().message()));
  Dataset none({.name = settings.dataset().name()});
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest, Split::kPred}) {
    none.Set(split, [status = data.status()]() -> absl::StatusOr<SplitData> { return status; });
  }
  return none;
}

}  // namespace

absl::Status Transformed::WriteFiles(RunDirectory& directory) const {
  for (const auto& [path, contents] : files) {
    MASE_RETURN_IF_ERROR(directory.Write(path, contents));
  }
  for (const SavedGraph& saved : graphs) {
    MASE_ASSIGN_OR_RETURN(const std::string file, directory.Reserve(saved.path));
    MASE_RETURN_IF_ERROR(SaveCheckpoint(file, saved.graph, saved.facts));
  }
  return absl::OkStatus();
}

absl::StatusOr<Pipeline> CreatePasses(const RunConfig& config, const RunEnvironment& environment) {
  if (config.passes().empty()) return Pipeline();
  MASE_ASSIGN_OR_RETURN(Pipeline pipeline, BuildPipeline(config.passes(), *environment.passes));
  // Flags are checked before anything is opened.
  MASE_RETURN_IF_ERROR(MakeInstruments(config, pipeline, environment).status());
  if (config.has_pass_timeout()) pipeline.pass_limit = absl::Seconds(config.pass_timeout());
  return pipeline;
}

absl::Status RunPasses(const RunConfig& config, const Pipeline& pipeline, Session& session,
                       bool evaluate, Transformed& transformed, const RunDirectory* directory) {
  if (session.environment.passes != nullptr) {
    for (const PluginEntry& plugin : session.environment.passes->opened()) {
      (*session.report.mutable_versions())[absl::StrCat("plugin ", plugin.name())] =
          plugin.version();
    }
  }
  transformed = Transformed{session.graph.Clone()};
  SessionHost host(config, session, transformed);
  const Split split = SplitByName(config.evaluation().split());
  if (evaluate) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
    WarnOfFigures(split, data, session);
    MASE_ASSIGN_OR_RETURN(const Measurement before,
                          host.Measure(session.graph, kOriginal, session.report));
    transformed.before = before.evaluation;
  }
  MASE_ASSIGN_OR_RETURN(const Instruments owned,
                        MakeInstruments(config, pipeline, session.environment));
  InterruptWatch watch(session.environment);
  std::vector<Instrumentation*> instruments = {&watch};
  std::optional<CrashSummary> crash_summary;
  if (directory != nullptr) {
    crash_summary.emplace(session, directory->File(RunDirectory::kSummary));
    instruments.push_back(&*crash_summary);
  }
  for (const auto& instrument : owned) instruments.push_back(instrument.get());
  const int warned = session.report.warnings_size();
  MASE_RETURN_IF_ERROR(
      RunPipeline(pipeline, transformed.graph, host, &session.report, instruments));
  for (int i = warned; i < session.report.warnings_size(); ++i) {
    session.reporter().Warn(session.report.warnings(i));
  }
  if (evaluate) {
    MASE_ASSIGN_OR_RETURN(const Measurement after,
                          host.Measure(transformed.graph, kTransformed, session.report));
    transformed.after = after.evaluation;
    const ComparisonReport* comparison = ReportComparison(kOriginal, kTransformed, session.report);
    transformed.classes =
        absl::StrCat(comparison == nullptr ? "" : ComparisonText(*comparison),
                     ClassificationText(after.classification, session.dataset.info().class_names));
  }
  if (session.html) {
    MASE_ASSIGN_OR_RETURN(session.picture, DescribeNet(transformed.graph, session.report));
  }
  return absl::OkStatus();
}

absl::Status Reproduce(const std::string& path, absl::string_view action,
                       const RunEnvironment& environment) {
  MASE_ASSIGN_OR_RETURN(Reproduction again, ReadReproducer(path));
  // Not as they were pinned: one that was mended is tried with this.
  for (const PluginConfig& plugin : again.settings.plugins()) {
    MASE_RETURN_IF_ERROR(environment.passes->Open(plugin.path()).status());
  }
  MASE_ASSIGN_OR_RETURN(Pipeline pipeline, BuildPipeline(again.settings.passes(),
                                                         *environment.passes, RunsAlone::kYes));
  if (again.settings.has_pass_timeout()) {
    pipeline.pass_limit = absl::Seconds(again.settings.pass_timeout());
  }
  Session session{environment,
                  RecordedTime(),
                  DataOf(again.settings, action, environment),
                  again.original.Clone(),
                  TorchGenerator(again.settings.seed()),
                  BeginReport(action)};
  Transformed unused{session.graph.Clone()};
  SessionHost host(again.settings, session, unused);
  MASE_RETURN_IF_ERROR(
      RunPipeline(pipeline, again.graph, host, &session.report, {}, &again.original));
  environment.reporter.Info(
      absl::StrCat("pass ", again.settings.passes(0).name(), " of ", path, " went well"));
  return absl::OkStatus();
}

}  // namespace mase
