#include "mase/cli/train_action.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/cli/interrupt.h"
#include "mase/cli/log.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/cli/test_metrics.h"
#include "mase/model/checkpoint.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

void Print(absl::string_view line) { std::printf("%s\n", std::string(line).c_str()); }

absl::StatusOr<TrainerOptions> OptionsFrom(const RunConfig& config) {
  TrainerOptions options;
  MASE_ASSIGN_OR_RETURN(options.optimizer, ParseOptimizer(config.training_optimizer()));
  options.learning_rate = config.learning_rate();
  options.weight_decay = config.weight_decay();
  if (config.has_eta_min()) options.rate_floor = config.eta_min();
  options.rate_period = config.t_max();
  options.batch_size = config.batch_size();
  options.shuffle = config.shuffle();
  options.max_epochs = config.max_epochs();
  options.max_steps = config.max_steps();
  options.max_batches = config.to_debug() ? 1 : 0;
  options.accumulate = config.accumulate_grad_batches();
  options.log_every_n_steps = config.log_every_n_steps();
  options.checkpoint_every_n_steps = config.checkpoint_every_n_steps();
  options.seed = config.seed();
  options.print = Print;
  options.warn = LogWarning;
  options.terminal = Terminal::Stderr();
  options.interrupted = &CatchInterrupt();

  const std::string& precision = config.trainer_precision();
  options.double_precision = precision == "64";
  if (precision == "bf16") {
    return absl::UnimplementedError("trainer_precision bf16: there are only 32 and 64 here");
  }
  if (precision == "16-mixed") LogWarning("trainer_precision 16-mixed needs a GPU; using 32");
  if (config.accelerator() == "gpu" || config.accelerator() == "mps") {
    LogWarning(absl::StrCat("accelerator ", config.accelerator(), " is not there; using the CPU"));
  }
  return options;
}

// The settings that a run was begun with, and a word on those that were given besides --resume.
absl::StatusOr<RunConfig> SettingsOf(const RunDirectory& run, const LoadedConfig& given) {
  for (const auto& [path, levels] : given.record) {
    const auto& flag = levels[static_cast<int>(Level::kFlag)];
    if (flag.has_value() && path != "resume") {
      LogWarning(absl::StrCat(flag->where, " is ignored: a resumed run keeps its own settings"));
    }
  }
  ConfigBuilder builder(ConfigRequest{nullptr, /*read_passes=*/false});
  MASE_RETURN_IF_ERROR(builder.AddFile(run.File(RunDirectory::kSettings)));
  return builder.Build().config;
}

void ReportEpochs(const TrainingResult& result, int64_t train_rows, RunReport& report) {
  const auto add = [&report](const char* name, const EpochRecord& epoch, const char* split,
                             double value, int64_t rows) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(name);
    metric->set_stage(absl::StrCat("epoch ", epoch.epoch));
    metric->set_split(split);
    metric->set_value(value);
    metric->set_samples(static_cast<uint32_t>(rows));
  };
  for (const EpochRecord& epoch : result.history) {
    add("loss", epoch, "train", epoch.train_loss, train_rows);
    add("loss", epoch, "validation", epoch.val_loss, epoch.val_total);
    add("accuracy", epoch, "validation", epoch.val_acc, epoch.val_total);
  }
}

class TrainAction : public Action {
 public:
  absl::string_view name() const override { return "train"; }
  absl::string_view summary() const override {
    return "train a net, validate each epoch, test the best";
  }
  absl::string_view examples() const override {
    return "bazel run //mase:train -- jsc-tiny jsc-sim --max-epochs 10 --batch-size 256\n"
           "bazel run //mase:train -- jsc-toy jsc-sim --learning-rate 1e-3 --run_dir=run\n"
           "bazel run //mase:train -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc-sim "
           "--validation_split=0.1\n"
           "bazel run //mase:train -- --resume=run\n";
  }

  ConfigRequest config_request() const override { return {nullptr, /*read_passes=*/false}; }

  absl::Status Run(const LoadedConfig& settings) override {
    const bool resume = settings.config.has_resume();
    absl::StatusOr<RunDirectory> directory = absl::NotFoundError("");
    RunConfig config = settings.config;
    if (resume) {
      directory = RunDirectory::Reopen(config.resume());
      MASE_RETURN_IF_ERROR(directory.status());
      MASE_ASSIGN_OR_RETURN(config, SettingsOf(*directory, settings));
    }
    // All that can be wrong with settings, data and net is found before anything is written.
    MASE_ASSIGN_OR_RETURN(const TrainerOptions options, OptionsFrom(config));
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, name()));
    MASE_ASSIGN_OR_RETURN(const SplitData train, OpenSplit(session, Split::kTrain));
    MASE_ASSIGN_OR_RETURN(const auto trainer, Trainer::Create(session.graph.Clone(), session.dataset,
                                                              session.generator, options));
    if (!resume) {
      directory = RunDirectory::Create(config, name(), session.graph.name(), session.dataset.name());
      MASE_RETURN_IF_ERROR(directory.status());
      MASE_RETURN_IF_ERROR(directory->WriteSettings(config));
    }
    LogInfo(absl::StrCat("Training model '", session.graph.name(), "'..."));
    LogInfo(absl::StrCat("##### WEIGHT DECAY ##### ", config.weight_decay()));
    // A run may have died before its first checkpoint.
    const bool has_checkpoint = std::filesystem::exists(directory->File(kLastCheckpoint));
    absl::StatusOr<TrainingResult> result = resume && has_checkpoint
                                                ? trainer->Resume(directory->path())
                                                : trainer->Run(directory->path());
    absl::Status status = result.status();
    if (status.ok()) {
      for (const std::string& file : result->files) {
        MASE_RETURN_IF_ERROR(directory->Reserve(file).status());
      }
      ReportEpochs(*result, train.rows(), session.report);
      status = result->interrupted
                   ? absl::CancelledError(absl::StrCat(
                         "interrupted after ", result->steps, " steps; go on with --resume=",
                         directory->path()))
                   : TestBest(config, *result, *directory, session);
    }
    return CompleteRun(status, "Training is completed", *directory, session);
  }

 private:
  absl::Status TestBest(const RunConfig& config, const TrainingResult& result,
                        const RunDirectory& directory, Session& session) {
    if (!session.dataset.Has(Split::kTest)) return absl::OkStatus();
    const bool has_best = result.best_epoch >= 0;
    MASE_ASSIGN_OR_RETURN(
        const Checkpoint checkpoint,
        LoadCheckpoint(directory.File(has_best ? kBestCheckpoint : kLastCheckpoint)));
    if (has_best) Print(absl::StrCat("best epoch: ", result.best_epoch + 1));
    return TestAndReport(session, *checkpoint.graph, Split::kTest, config.batch_size(), "best")
        .status();
  }
};

}  // namespace

std::unique_ptr<Action> MakeTrainAction() { return std::make_unique<TrainAction>(); }

}  // namespace mase
