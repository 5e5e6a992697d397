#include "mase/cli/train_action.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/field_mask_util.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/interrupt.h"
#include "mase/cli/log.h"
#include "mase/cli/pass_action.h"
#include "mase/cli/report_json.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/cli/test_metrics.h"
#include "mase/model/checkpoint.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

constexpr char kBest[] = "best";

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
  if (precision == "64") options.precision = Precision::kFloat64;
  if (precision == "bf16") options.precision = Precision::kBfloat16;
  if (precision == "16-mixed") LogWarning("trainer_precision 16-mixed needs a GPU; using 32");
  return options;
}

// Settings that a resumed run may change: Trainer::Restore's, and those that change no number.
constexpr absl::string_view kChangesTraining[] = {"max_epochs", "max_steps", "learning_rate",
                                                  "eta_min", "t_max"};
constexpr absl::string_view kChangesNoNumber[] = {"log_every_n_steps", "checkpoint_every_n_steps",
                                                  "log_level",         "no_warnings",
                                                  "accelerator",       "num_workers",
                                                  "num_devices",       "num_nodes",
                                                  "strategy"};

// The value at a path of the settings as text, to be compared; "" where it is not set. What is
// below a list is compared as the whole list.
std::string ValueAt(const RunConfig& config, absl::string_view path) {
  const google::protobuf::Message* message = &config;
  std::string value;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    const auto* field = message->GetDescriptor()->FindFieldByName(std::string(name));
    if (field == nullptr) break;
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        std::string element;
        google::protobuf::TextFormat::PrintFieldValueToString(*message, field, i, &element);
        absl::StrAppend(&value, element, "\n");
      }
      break;
    }
    if (!reflection.HasField(*message, field)) break;
    google::protobuf::TextFormat::PrintFieldValueToString(*message, field, -1, &value);
    if (field->message_type() == nullptr) break;
    message = &reflection.GetMessage(*message, field);
  }
  return value;
}

// The place of the highest level that gave a setting, or null where none but the default did.
const Given* LastGiven(const GivenByLevel& levels) {
  for (const Level level : {Level::kFlag, Level::kSet, Level::kFile}) {
    const auto& given = levels[static_cast<int>(level)];
    if (given.has_value()) return &*given;
  }
  return nullptr;
}

struct ResumedSettings {
  RunConfig config;
  bool changed = false;  // Against those in the run's directory.
};

// The settings that a run was begun with, and on top of them those that were given besides
// --resume: they must be of those two lists or say the same.
absl::StatusOr<ResumedSettings> SettingsOf(const RunDirectory& run, const LoadedConfig& given,
                                           const ConfigRequest& request) {
  ConfigBuilder builder(request);
  MASE_RETURN_IF_ERROR(builder.AddFile(run.File(RunDirectory::kSettings)));
  ResumedSettings settings = {builder.Build().config};
  std::vector<std::string> refused;
  google::protobuf::FieldMask changes;
  for (const auto& [path, levels] : given.record) {
    const Given* last = LastGiven(levels);
    if (last == nullptr || path == "resume") continue;
    const std::string before = ValueAt(settings.config, path);
    if (before == ValueAt(given.config, path)) continue;
    if (absl::c_linear_search(kChangesTraining, path) ||
        absl::c_linear_search(kChangesNoNumber, path)) {
      changes.add_paths(path);
    } else if (absl::StartsWith(path, "passes.")) {
      refused.push_back(absl::StrCat(last->where, ": ", path, "; the passes have run"));
    } else {
      refused.push_back(absl::StrCat(last->where, ": ", path, " is now ", last->text, ", was ",
                                     before.empty() ? "not set" : before));
    }
  }
  if (!refused.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--resume keeps the settings of the run; these cannot be others:\n  ",
        absl::StrJoin(refused, "\n  "), "\n  These can: ", absl::StrJoin(kChangesTraining, ", "),
        ",\n  and what changes no number of the training (docs/training.md, Going on)"));
  }
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(given.config, changes, {},
                                                        &settings.config);
  settings.changed = changes.paths_size() > 0;
  return settings;
}

void ReportEpochs(const TrainingResult& result, int64_t train_rows, RunReport& report) {
  const auto add = [&report](const char* name, const EpochRecord& epoch, const char* split,
                             double value, int64_t rows) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(name);
    metric->set_stage(absl::StrCat("epoch ", epoch.epoch));
    metric->set_split(split);
    if (std::isfinite(value)) metric->set_value(value);
    metric->set_samples(static_cast<uint32_t>(rows));
  };
  for (const EpochRecord& epoch : result.history) {
    add("loss", epoch, "train", epoch.train_loss, train_rows);
    add("loss", epoch, "validation", epoch.val_loss, epoch.val_total);
    add("accuracy", epoch, "validation", epoch.val_acc, epoch.val_total);
  }
}

// What the summary of a run that goes on has to say of its beginning: the passes, what they wrote,
// and the figures from before training.
absl::Status TakeOver(RunDirectory& directory, RunReport& report) {
  MASE_ASSIGN_OR_RETURN(const RunReport begun, directory.ReadSummary());
  *report.mutable_model() = begun.model();
  *report.mutable_passes() = begun.passes();
  *report.mutable_warnings() = begun.warnings();
  *report.mutable_versions() = begun.versions();
  for (const MetricReport& metric : begun.metrics()) {
    if (metric.stage() == kOriginal || metric.stage() == kTransformed) {
      *report.add_metrics() = metric;
    }
  }
  for (const std::string& file : begun.artifacts()) {
    MASE_RETURN_IF_ERROR(directory.Reserve(file).status());
  }
  return absl::OkStatus();
}

// Accuracy and loss of the float net, of what passes made of it, and of what training made of
// that, where all three were measured.
void PrintComparison(const RunReport& report) {
  Table table({{"Metric"}, {"Original", "", 6}, {"Transformed", "", 6}, {"Trained", "", 6}});
  for (const char* name : {"accuracy", "loss"}) {
    std::vector<Cell> row = {name};
    for (const char* stage : {kOriginal, kTransformed, kBest}) {
      for (const MetricReport& metric : report.metrics()) {
        const bool wanted = metric.name() == name && metric.stage() == stage &&
                            metric.split() == SplitName(Split::kTest);
        if (!wanted) continue;
        row.push_back(metric.has_value() ? Cell(metric.value()) : Cell("not finite"));
      }
    }
    if (row.size() != 4) return;
    table.AddRow(row);
  }
  std::printf("%s", table.Boxed().c_str());
}

class TrainAction : public PassAction {
 public:
  absl::string_view name() const override { return "train"; }
  absl::string_view summary() const override {
    return "run the passes of a config, if there are any, on a net and train it; validate each "
           "epoch, test the best";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:train -- jsc-tiny jsc-sim --max-epochs 10 --batch-size 256\n"
           "./bazelw run //mase:train -- jsc-toy jsc-sim --learning-rate 1e-3 --run_dir=run\n"
           "./bazelw run //mase:train -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc-sim "
           "--validation_split=0.1\n"
           "./bazelw run //mase:train -- --config=my.toml --load=run/best.safetensors\n"
           "./bazelw run //mase:train -- --resume=run\n";
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    if (!settings.config.has_resume()) return Begin(settings.config, begun, std::nullopt);
    MASE_ASSIGN_OR_RETURN(RunDirectory directory, RunDirectory::Reopen(settings.config.resume()));
    MASE_ASSIGN_OR_RETURN(const ResumedSettings resumed,
                          SettingsOf(directory, settings, config_request()));
    // A run may have died before its first checkpoint. One holds what passes made of the net.
    const bool has_checkpoint = std::filesystem::exists(directory.File(kLastCheckpoint));
    return has_checkpoint ? GoOn(resumed, begun, std::move(directory))
                          : Begin(resumed.config, begun, std::move(directory));
  }

 private:
  // In a new directory, if none is given.
  absl::Status Begin(const RunConfig& config, const RunReport& begun,
                     std::optional<RunDirectory> directory) {
    // All that can be wrong with settings, data, net and passes is found before anything is
    // written.
    MASE_ASSIGN_OR_RETURN(TrainerOptions options, OptionsFrom(config));
    MASE_ASSIGN_OR_RETURN(Pipeline pipeline, CreatePasses(config));
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun));
    MASE_RETURN_IF_ERROR(OpenSplit(session, Split::kTrain).status());
    options.facts[kRecipeFact] = RecipeText(*session.recipe);
    const bool has_passes = !config.passes().empty();
    // Initial weights have no accuracy worth knowing.
    const bool measure = has_passes && config.model().has_load_name() &&
                         config.evaluation().enabled() &&
                         session.dataset.Has(SplitByName(config.evaluation().split()));
    MASE_ASSIGN_OR_RETURN(const Transformed transformed,
                          RunPasses(config, pipeline, session, measure));
    MASE_ASSIGN_OR_RETURN(
        const auto trainer,
        Trainer::Create(transformed.graph.Clone(), session.dataset, session.generator, options));
    if (!directory.has_value()) {
      MASE_ASSIGN_OR_RETURN(directory, RunDirectory::Create(config, name(), session.graph.name(),
                                                            session.dataset.name()));
    }
    MASE_RETURN_IF_ERROR(directory->WriteSettings(config));
    if (has_passes) {
      MASE_RETURN_IF_ERROR(transformed.WriteFiles(*directory));
      session.report.set_status("running");
      MASE_RETURN_IF_ERROR(directory->Finish(session.report));  // See TakeOver.
    }
    Announce(config, transformed.graph);
    return Complete(config, trainer->Run(directory->path()), *directory, session);
  }

  // From the directory's last checkpoint.
  absl::Status GoOn(const ResumedSettings& settings, const RunReport& begun,
                    RunDirectory directory) {
    const RunConfig& config = settings.config;
    MASE_ASSIGN_OR_RETURN(TrainerOptions options, OptionsFrom(config));
    RunConfig from_checkpoint = config;
    from_checkpoint.mutable_model()->clear_name();
    from_checkpoint.mutable_model()->set_load_name(directory.File(kLastCheckpoint));
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(from_checkpoint, begun));
    MASE_RETURN_IF_ERROR(OpenSplit(session, Split::kTrain).status());
    options.facts[kRecipeFact] = RecipeText(*session.recipe);
    MASE_ASSIGN_OR_RETURN(
        const auto trainer,
        Trainer::Create(session.graph.Clone(), session.dataset, session.generator, options));
    session.report.mutable_model()->set_loaded_from(config.model().load_name());
    if (std::filesystem::exists(directory.File(RunDirectory::kSummary))) {
      MASE_RETURN_IF_ERROR(TakeOver(directory, session.report));
    }
    MASE_RETURN_IF_ERROR(trainer->Restore(directory.path()));
    if (settings.changed) MASE_RETURN_IF_ERROR(directory.WriteSettings(config));
    SetSettings(config, session.report);
    Announce(config, session.graph);
    return Complete(config, trainer->Run(directory.path()), directory, session);
  }

  static void Announce(const RunConfig& config, const Graph& graph) {
    LogInfo(absl::StrCat("Training model '", graph.name(), "'..."));
    LogInfo(absl::StrCat("##### WEIGHT DECAY ##### ", config.weight_decay()));
    int nodes = 0, quantized = 0;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node), ++nodes) {
      quantized += node->quantization() != nullptr;
    }
    if (quantized == 0) return;
    LogInfo(absl::StrCat("The net that is trained is the quantized one: ", quantized, " of its ",
                         nodes, " nodes compute in a format"));
  }

  absl::Status Complete(const RunConfig& config, const absl::StatusOr<TrainingResult>& result,
                        RunDirectory& directory, Session& session) {
    absl::Status status = result.status();
    if (status.ok()) {
      for (const std::string& file : result->files) {
        MASE_RETURN_IF_ERROR(directory.Reserve(file).status());
      }
      MASE_ASSIGN_OR_RETURN(const SplitData train, OpenSplit(session, Split::kTrain));
      ReportEpochs(*result, train.rows(), session.report);
      if (result->best_epoch >= 0) {
        session.report.set_best_epoch(static_cast<uint32_t>(result->best_epoch));
      }
      status = result->ending;
      if (absl::IsCancelled(status)) {
        status = absl::CancelledError(absl::StrCat(
            "interrupted after ", result->steps, " steps; go on with --resume=", directory.path()));
      } else if (status.ok()) {
        status = TestBest(config, *result, directory, session);
      }
    }
    return CompleteRun(status, "Training is completed", directory, session);
  }

  absl::Status TestBest(const RunConfig& config, const TrainingResult& result,
                        const RunDirectory& directory, Session& session) {
    if (!session.dataset.Has(Split::kTest)) return absl::OkStatus();
    const bool has_best = result.best_epoch >= 0;
    MASE_ASSIGN_OR_RETURN(
        const Checkpoint checkpoint,
        LoadCheckpoint(directory.File(has_best ? kBestCheckpoint : kLastCheckpoint)));
    if (has_best) Print(absl::StrCat("best epoch: ", result.best_epoch));
    MASE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                          TestAndReport(session, *checkpoint.graph, Split::kTest, config, kBest));
    PrintComparison(session.report);
    return CheckMeasured(evaluation, "trained", Split::kTest);
  }
};

}  // namespace

std::unique_ptr<Action> MakeTrainAction() { return std::make_unique<TrainAction>(); }

}  // namespace mase
