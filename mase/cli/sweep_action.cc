#include "mase/cli/sweep_action.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/writable.h"
#include "mase/cli/plugin_flags.h"
#include "mase/config/paths.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/run_directory.h"
#include "mase/run/sweep.h"
#include "mase/run/sweep_points.h"
#include "mase/run/sweep_table.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

class SweepAction : public Action {
 public:
  explicit SweepAction(std::string swept) : swept_(std::move(swept)) { flags_.set_jobs(1); }

  absl::string_view name() const override { return "sweep"; }
  absl::string_view summary() const override {
    return "run train, transform or test for many values of any settings; one table of them all";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:sweep -- train jsc-tiny jsc-sim --max-epochs 3 "
           "--sweep batch_size=64,256,1024 --sweep learning_rate=1e-2,1e-3 --jobs 2\n"
           "./bazelw run //mase:sweep -- transform --config=my.toml "
           "--sweep passes.quantize.linear.data_in_width=4,6,8\n"
           "./bazelw run //mase:sweep -- train --sweep model=@nets.txt jsc-sim\n"
           "./bazelw run //mase:sweep -- train --points=runs.csv --run_dir=sweep\n";
  }

  absl::string_view usage() const override {
    return "ACTION [MODEL] [DATASET] --sweep ... [flags]";
  }

  google::protobuf::Message* own_flags() override { return &flags_; }

  absl::StatusOr<bool> Prepare() override {
    const std::vector<std::string> known = {"train", "transform", "test"};
    if (!absl::c_linear_search(known, swept_)) {
      return absl::InvalidArgumentError(
          absl::StrCat("sweep of what? want one of ", absl::StrJoin(known, ", "),
                       swept_.empty() ? "" : absl::StrCat(", not '", swept_, "'"),
                       swept_.empty() ? "" : Suggest(swept_, known),
                       "; for example: sweep train jsc-tiny jsc-sim --sweep batch_size=64,256"));
    }
    MASE_ASSIGN_OR_RETURN(points_, Points());
    if (!flags_.shard().empty()) MASE_RETURN_IF_ERROR(KeepShard(flags_.shard(), points_));
    TakeOneWordForTheDataSet();
    MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins()));
    return false;
  }

  void Settle(RunConfig& config) const override { PinPlugins(*loader_, config); }

  std::vector<NamedPath> MoreFilesRead(const RunConfig&) const override { return value_files_; }

  ConfigRequest config_request() const override {
    return {[this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
              MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_->LookUp(pass));
              return info->options->GetDescriptor();
            },
            /*read_passes=*/swept_ != "test"};
  }

  absl::Status CheckGoals(const LoadedConfig&) const override { return absl::OkStatus(); }

  absl::Status Run(const LoadedConfig&, const RunReport& begun) override {
    MASE_ASSIGN_OR_RETURN(const SweepRequest request, Request(begun));
    const SweepResult result = RunSweep(request, environment());
    reporter().PrintJson(result.json);
    if (!result.directory.empty()) reporter().Wrote(result.directory);
    return result.status;
  }

  absl::Status Explain(const LoadedConfig&, const RunReport& begun) override {
    MASE_ASSIGN_OR_RETURN(const SweepRequest request, Request(begun));
    MASE_RETURN_IF_ERROR(CheckPoints(request, environment()));
    std::vector<SweepRow> rows;
    for (size_t i = 0; i < points_.points.size(); ++i)
      rows.push_back({.run = PointName(points_, i)});
    reporter().Show(SweepTable(swept_, points_, rows), "");
    reporter().PrintJson(SweepJson(swept_, points_, rows));
    return absl::OkStatus();
  }

 private:
  RunEnvironment environment() {
    return {.reporter = reporter(), .passes = loader_.get(), .watch_interrupt = watch_interrupt()};
  }

  // Where models are swept, the one word that stands alone is the data set.
  void TakeOneWordForTheDataSet() {
    const bool of_models = absl::c_any_of(points_.settings, [](const std::string& setting) {
      return setting == "model" || setting == "model.name";
    });
    if (!of_models || arguments().positionals.size() != 1) return;
    Arguments taken = arguments();
    taken.settings.push_back({"DATASET", "dataset", taken.positionals[0]});
    taken.positionals.clear();
    set_arguments(std::move(taken));
  }

  absl::StatusOr<SweepRequest> Request(const RunReport& begun) {
    SweepRequest request = {
        .action = swept_,
        .points = points_,
        .config_request = config_request(),
        .jobs = flags_.jobs(),
        .command_line = {begun.command_line().begin(), begun.command_line().end()}};
    MASE_ASSIGN_OR_RETURN(request.settings, SettingsOfAll());
    request.junit = request.settings[0].config.goals().junit();
    if (!request.junit.empty()) {
      MASE_RETURN_IF_ERROR(Annotate(CheckWritable(request.junit), "--junit"));
    }
    // It is the file of all.
    for (LoadedConfig& of_point : request.settings) {
      MASE_RETURN_IF_ERROR(CheckFiles(of_point.config));
      if (of_point.config.has_goals()) of_point.config.mutable_goals()->clear_junit();
    }
    return request;
  }

  absl::StatusOr<SweepPoints> Points() {
    if (!flags_.points().empty()) {
      if (flags_.sweep().empty()) return ReadPointList(flags_.points());
      return absl::InvalidArgumentError("want --sweep or --points, not both");
    }
    std::vector<SweepAxis> axes;
    for (const auto& [flag, text] : arguments().process) {
      if (flag != "sweep") continue;
      MASE_ASSIGN_OR_RETURN(SweepAxis axis, ParseSweepAxis(text));
      if (!axis.file.empty()) value_files_.push_back({"sweep", axis.file});
      axes.push_back(std::move(axis));
    }
    return flags_.zip() ? ZipOf(axes) : GridOf(axes);
  }

  // The settings of every point: those that were given, and on top of them the point's. Two of the
  // same would run twice in one directory.
  absl::StatusOr<std::vector<LoadedConfig>> SettingsOfAll() const {
    std::vector<LoadedConfig> all;
    absl::flat_hash_map<std::string, size_t> seen;
    for (size_t i = 0; i < points_.points.size(); ++i) {
      Arguments of_point = arguments();
      for (size_t j = 0; j < points_.settings.size(); ++j) {
        of_point.settings.push_back({"--sweep", points_.settings[j], points_.points[i][j]});
      }
      absl::StatusOr<LoadedConfig> loaded = LoadConfig(of_point, config_request());
      if (!loaded.ok()) return Annotate(loaded.status(), PointName(points_, i));
      Settle(loaded->config);
      MASE_RETURN_IF_ERROR(Annotate(CheckGoalsOf(swept_, *loaded), PointName(points_, i)));
      const auto [before, is_new] = seen.emplace(loaded->config.ShortDebugString(), i);
      if (!is_new) {
        return absl::InvalidArgumentError(absl::StrCat(
            "run ", before->second + 1, ", ", PointName(points_, before->second), ", and run ",
            i + 1, ", ", PointName(points_, i), ", have the same settings; give every value once"));
      }
      all.push_back(*std::move(loaded));
    }
    return all;
  }

  const std::string swept_;
  SweepFlags flags_;
  SweepPoints points_;
  std::vector<NamedPath> value_files_;  // Of --sweep SETTING=@FILE.
  std::unique_ptr<PluginLoader> loader_;
};

}  // namespace

std::unique_ptr<Action> MakeSweepAction(const std::string& swept) {
  return std::make_unique<SweepAction>(swept);
}

}  // namespace mase
