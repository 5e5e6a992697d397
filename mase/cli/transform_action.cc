#include "mase/cli/transform_action.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/log.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/exec/executor.h"
#include "mase/model/checkpoint.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_loader.h"

DEFINE_string(plugins, "", "Third-party pass plugins to open: a.so,b.so.");
DEFINE_string(print_after, "", "Print the graph after these passes: a,b.");
DEFINE_bool(list_passes, false, "List all passes, with those of --plugins, and stop.");

namespace mase {
namespace {

constexpr char kCheckpoint[] = "transformed.safetensors";

std::vector<std::string> SplitList(const std::string& text) {
  return absl::StrSplit(text, ',', absl::SkipEmpty());
}

void PrintPasses(const PluginLoader& loader) {
  Table table({"Pass", "Kind", "What it does", "Also known as"});
  for (const PassEntry& pass : loader.List()) {
    table.AddRow({pass.name(), pass.kind(), pass.summary(), absl::StrJoin(pass.alias(), ", ")});
  }
  std::printf("%s", table.Plain().c_str());
}

// What the passes of one run get from it.
class TransformHost : public PassHost {
 public:
  TransformHost(const RunConfig& config, const Session& session, RunDirectory& directory)
      : config_(config),
        session_(session),
        directory_(directory),
        split_(SplitByName(config.evaluation().split())) {}

  Split split() const { return split_; }

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
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session_, split_));
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph));
    return mase::Evaluate(*executor, data.features, data.labels, config_.batch_size());
  }

  void Print(absl::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }

  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    return directory_.Write(path, contents);
  }

 private:
  const RunConfig& config_;
  const Session& session_;
  RunDirectory& directory_;
  const Split split_;
};

std::string MetricsTable(const Evaluation& before, const Evaluation& after) {
  Table table({"Metric", "Original", "Transformed", "Change"});
  const auto add = [&](const char* name, double x, double y) {
    table.AddRow({name, absl::StrFormat("%.6f", x), absl::StrFormat("%.6f", y),
                  absl::StrFormat("%+.6f", y - x)});
  };
  add("accuracy", before.accuracy, after.accuracy);
  add("loss", before.loss, after.loss);
  return table.Boxed();
}

class TransformAction : public Action {
 public:
  absl::string_view name() const override { return "transform"; }
  absl::string_view summary() const override {
    return "run the passes of a config on a net; measure it before and after";
  }
  absl::string_view examples() const override {
    return "bazel run //mase:transform -- --config=testdata/configs/jsc_tiny_integer.toml\n"
           "bazel run //mase:transform -- jsc-toy jsc --config=my.toml --load=best.safetensors\n"
           "bazel run //mase:transform -- --config=my.toml "
           "--set passes.quantize.linear.config.weight_width=4\n"
           "bazel run //mase:transform -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc "
           "--config=my.toml --run_dir=out\n"
           "bazel run //mase:transform -- --list_passes --plugins=my_pass.so\n";
  }

  absl::StatusOr<bool> Prepare() override {
    MASE_ASSIGN_OR_RETURN(loader_, PluginLoader::Create());
    for (const std::string& path : SplitList(FLAGS_plugins)) {
      MASE_RETURN_IF_ERROR(loader_->Open(UserPath(path)).status());
    }
    if (FLAGS_list_passes) PrintPasses(*loader_);
    return FLAGS_list_passes;
  }

  ConfigRequest config_request() const override {
    return {[this](absl::string_view pass)
                -> absl::StatusOr<const google::protobuf::Descriptor*> {
              MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_->LookUp(pass));
              return info->options->GetDescriptor();
            },
            /*read_passes=*/true};
  }

  absl::Status Run(const LoadedConfig& settings) override {
    const RunConfig& config = settings.config;
    if (config.passes().empty()) {
      return absl::InvalidArgumentError(
          "nothing to do: no passes; expected configuration via --config with a [passes.NAME] "
          "table");
    }
    MASE_ASSIGN_OR_RETURN(
        Pipeline pipeline,
        BuildPipeline(config.passes(), *loader_, {.print_after = SplitList(FLAGS_print_after)}));
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, name()));
    MASE_ASSIGN_OR_RETURN(RunDirectory directory,
                          RunDirectory::Create(config, name(), session.graph.name(),
                                               session.dataset.name()));
    for (const PluginEntry& plugin : loader_->opened()) {
      (*session.report.mutable_versions())[absl::StrCat("plugin ", plugin.name())] =
          plugin.version();
    }
    return CompleteRun(Transform(config, pipeline, session, directory),
                       "Transformation is completed", directory, session);
  }

 private:
  absl::Status Transform(const RunConfig& config, Pipeline& pipeline, Session& session,
                         RunDirectory& directory) {
    TransformHost host(config, session, directory);
    const bool evaluate = config.evaluation().enabled();
    Evaluation before, after;
    if (evaluate) {
      MASE_ASSIGN_OR_RETURN(before, host.Evaluate(session.graph));
      ReportMetrics(before, "original", host.split(), session.report);
    }
    Graph transformed = session.graph.Clone();
    MASE_RETURN_IF_ERROR(RunPipeline(pipeline, transformed, host, &session.report));
    for (const std::string& warning : session.report.warnings()) LogWarning(warning);
    if (evaluate) {
      MASE_ASSIGN_OR_RETURN(after, host.Evaluate(transformed));
      ReportMetrics(after, "transformed", host.split(), session.report);
      MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(host.split()));
      session.report.mutable_data()->set_description(caption);
      (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(host.split()))] =
          static_cast<uint32_t>(after.samples);
      std::printf("Data set '%s': %s\n%s", session.dataset.name().c_str(), caption.c_str(),
                  MetricsTable(before, after).c_str());
    }
    return WriteResults(config, transformed, session.report, directory);
  }

  absl::Status WriteResults(const RunConfig& config, const Graph& transformed,
                            const RunReport& report, RunDirectory& directory) {
    MASE_ASSIGN_OR_RETURN(const std::string checkpoint, directory.Reserve(kCheckpoint));
    const std::map<std::string, std::string> facts = {
        {"mase.action", "transform"},
        {"mase.seed", absl::StrCat(config.seed())},
        {"mase.data", report.data().description()},
    };
    MASE_RETURN_IF_ERROR(SaveCheckpoint(checkpoint, transformed, facts));
    return directory.WriteSettings(config);
  }

  std::unique_ptr<PluginLoader> loader_;
};

}  // namespace

std::unique_ptr<Action> MakeTransformAction() { return std::make_unique<TransformAction>(); }

}  // namespace mase
