#include "mase/cli/pass_action.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/standard_output.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/class_lines.h"
#include "mase/cli/explain.h"
#include "mase/cli/instrument_flags.h"
#include "mase/cli/log.h"
#include "mase/exec/class_counts.h"
#include "mase/exec/executor.h"
#include "mase/pipeline/reproducer.h"

namespace mase {
namespace {

constexpr int kMostRowsShown = 100;  // Of a pass's table; the CSV has all.

void PrintPasses(const PluginLoader& loader) {
  Table table({{"Pass"}, {"Kind"}, {"What it does"}, {"Also known as"}});
  for (const PassEntry& pass : loader.List()) {
    table.AddRow({pass.name(), pass.kind(), pass.summary(), absl::StrJoin(pass.alias(), ", ")});
  }
  std::printf("%s", table.Text().c_str());
}

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

  absl::StatusOr<SampleRows> Samples(int64_t rows) override {
    const Split split = session_.dataset.Has(Split::kTrain) ? Split::kTrain : split_;
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split));
    MASE_ASSIGN_OR_RETURN(std::string caption, session_.dataset.Caption(split));
    const Tensor& all = data.features;
    SampleRows taken{{{session_.graph.placeholders()[0]->name(), all}}, std::move(caption)};
    if (rows >= data.rows()) return taken;
    Shape shape = all.shape();
    shape.set_dim(0, rows);
    Tensor spread(all.dtype(), shape);
    const int64_t size = all.elements() / data.rows();
    for (int64_t i = 0; i < rows; ++i) {
      const float* row = all.data<float>().data() + i * data.rows() / rows * size;
      std::copy(row, row + size, spread.mutable_data<float>().data() + i * size);
    }
    taken.inputs.begin()->second = std::move(spread);
    taken.caption = absl::StrCat(WithCommas(rows), " of ", taken.caption);
    return taken;
  }

  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) override {
    return Evaluate(graph, nullptr);
  }

  // The same; counts the predictions of each class, too, if `counts` is not null.
  absl::StatusOr<Evaluation> Evaluate(const Graph& graph, ClassCounts* counts) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split_));
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph));
    OutputSink<float> sink;
    if (counts != nullptr) {
      sink = [&](int64_t first_row, absl::Span<const float> scores) {
        counts->Add(first_row, scores, executor->output_shape()[1]);
        return absl::OkStatus();
      };
    }
    return mase::Evaluate(*executor, data.features, data.labels, config_.batch_size(), sink);
  }

  void Print(absl::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }

  void Show(const Table& table, absl::string_view whole) override {
    Table::Room room = StandardOutputRoom();
    room.rows = kMostRowsShown;
    room.whole = std::string(whole);
    Print(absl::StrCat("\n", table.Text(room)));
  }

  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    transformed_.files.emplace_back(path, contents);
    return absl::OkStatus();
  }

 private:
  const RunConfig& config_;
  const Session& session_;
  Transformed& transformed_;
  const Split split_;
};

}  // namespace

absl::Status Transformed::WriteFiles(RunDirectory& directory) const {
  for (const auto& [path, contents] : files) {
    MASE_RETURN_IF_ERROR(directory.Write(path, contents));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> PassAction::Prepare() {
  MASE_ASSIGN_OR_RETURN(loader_, PluginLoader::Create());
  for (const std::string& path : flags_.plugins()) {
    MASE_RETURN_IF_ERROR(loader_->Open(path).status());
  }
  if (flags_.list_passes()) PrintPasses(*loader_);
  if (flags_.reproduce().empty()) return flags_.list_passes();
  MASE_RETURN_IF_ERROR(Reproduce(flags_.reproduce()));
  return true;
}

ConfigRequest PassAction::config_request() const {
  return {[this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
            MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_->LookUp(pass));
            return info->options->GetDescriptor();
          },
          /*read_passes=*/true};
}

absl::Status PassAction::Reproduce(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(Reproduction again, ReadReproducer(path));
  for (const std::string& plugin : again.plugins) {
    MASE_RETURN_IF_ERROR(loader_->Open(plugin).status());
  }
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline,
                        BuildPipeline(again.settings.passes(), *loader_, RunsAlone::kYes));
  RunReport begun;
  begun.set_action(std::string(name()));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(again.settings, begun));
  Transformed unused{session.graph.Clone()};
  SessionHost host(again.settings, session, unused);
  MASE_RETURN_IF_ERROR(
      RunPipeline(pipeline, again.graph, host, &session.report, {}, &again.original));
  LogInfo(absl::StrCat("pass ", again.settings.passes(0).name(), " of ", path, " went well"));
  return absl::OkStatus();
}

absl::Status PassAction::Explain(const LoadedConfig& settings, const RunReport& begun) {
  const RunConfig& config = settings.config;
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, CreatePasses(config));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun));
  std::printf("\nSettings that were given:\n%s", GivenTable(settings.record).c_str());
  std::printf("\nNet %s: %d nodes, %d parameters. Data set %s.\n", session.graph.name().c_str(),
              session.graph.node_count(), static_cast<int>(session.graph.parameter_count()),
              session.dataset.name().c_str());
  Explainer explainer(settings.record);
  PassHost host;  // No data, nothing shown, nothing written.
  const absl::Status status =
      RunPipeline(pipeline, session.graph, host, &session.report, {&explainer});
  std::printf("%s", explainer.text().c_str());
  if (status.ok()) return status;
  std::printf("\n%s\nThis and what comes after it cannot be told without running it.\n",
              std::string(status.message()).c_str());
  return absl::OkStatus();
}

absl::StatusOr<Pipeline> PassAction::CreatePasses(const RunConfig& config) const {
  MASE_ASSIGN_OR_RETURN(Pipeline pipeline, BuildPipeline(config.passes(), *loader_));
  // Flags are checked before anything is opened.
  MASE_RETURN_IF_ERROR(FlaggedInstruments(flags_, pipeline, config).status());
  return pipeline;
}

absl::StatusOr<Transformed> PassAction::RunPasses(const RunConfig& config, const Pipeline& pipeline,
                                                  Session& session, bool evaluate) const {
  for (const PluginEntry& plugin : loader_->opened()) {
    (*session.report.mutable_versions())[absl::StrCat("plugin ", plugin.name())] = plugin.version();
  }
  Transformed result{session.graph.Clone()};
  SessionHost host(config, session, result);
  const Split split = SplitByName(config.evaluation().split());
  if (evaluate) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
    WarnOfFigures(split, data, session);
    MASE_ASSIGN_OR_RETURN(result.before, host.Evaluate(session.graph));
    ReportMetrics(result.before, kOriginal, split, session.report);
  }
  MASE_ASSIGN_OR_RETURN(const auto owned, FlaggedInstruments(flags_, pipeline, config));
  std::vector<Instrumentation*> instruments;
  for (const auto& instrument : owned) instruments.push_back(instrument.get());
  const int warned = session.report.warnings_size();
  MASE_RETURN_IF_ERROR(RunPipeline(pipeline, result.graph, host, &session.report, instruments));
  for (int i = warned; i < session.report.warnings_size(); ++i) {
    LogWarning(session.report.warnings(i));
  }
  if (evaluate) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
    const std::vector<std::string>& names = session.dataset.info().class_names;
    ClassCounts counts(data.labels.data<int64_t>(), session.dataset.num_classes());
    MASE_ASSIGN_OR_RETURN(result.after, host.Evaluate(result.graph, &counts));
    ReportMetrics(result.after, kTransformed, split, session.report);
    ReportClasses(counts, names, session.report);
    result.classes = ClassLines(counts, names);
  }
  return result;
}

}  // namespace mase
