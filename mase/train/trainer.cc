#include "mase/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/flush_subnormals.h"
#include "mase/base/recorded.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/evaluation.h"
#include "mase/graph/finite.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"

namespace mase {
namespace {

constexpr char kSettingsFact[] = "mase.training";

// A batch norm cannot take statistics of one value per channel. PyTorch finds that out at the end
// of the first epoch; we say it before.
absl::Status CheckSmallestBatch(const Graph& graph, int64_t rows, int64_t batch_size,
                                int64_t batches) {
  const int64_t last = std::min(rows, batches * batch_size) - (batches - 1) * batch_size;
  if (last != 1) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (!node->Is(OpTrait::kBatchNorm)) continue;
    const Shape& shape = shapes.shape(node->inputs()[0]);
    if (shape.elements() / shape[1] >= 2) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        node->name(), ": batch norm cannot train on a batch of one row, and ", rows,
        " rows in batches of ", batch_size, " end with one; choose another batch size"));
  }
  return absl::OkStatus();
}

// The first `rows` rows, or all.
SplitData Head(SplitData data, int64_t rows) {
  rows = std::min(rows, data.rows());
  return {data.features.Rows(0, rows), data.labels.Rows(0, rows), std::move(data.origin)};
}

int64_t CountBatches(const SplitData& data, const TrainingSettings& settings) {
  const int64_t batches = (data.rows() + settings->batch_size() - 1) / settings->batch_size();
  return settings.max_batches() > 0 ? std::min(batches, settings.max_batches()) : batches;
}

// 0.9134, or 1.235e+08 where that would be long.
std::string Figure(double value) {
  return std::abs(value) < 1000 ? absl::StrFormat("%.4f", value) : absl::StrFormat("%.3e", value);
}

// The folder's own name, and the net's: "jsc-tiny, run train-0001".
std::string RunName(const Graph& graph, const std::string& directory) {
  const std::filesystem::path path = std::filesystem::path(directory + "/").parent_path();
  return absl::StrCat(graph.name(), ", run ", path.filename().string());
}

// The share of the rows that are of the class with most of them.
double LargestShare(absl::Span<const int64_t> labels, int64_t classes) {
  std::vector<int64_t> rows(classes);
  for (const int64_t label : labels) ++rows[label];
  const auto largest = std::max_element(rows.begin(), rows.end());
  return largest == rows.end() || labels.empty()
             ? 0
             : static_cast<double>(*largest) / static_cast<double>(labels.size());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(Graph graph, const Dataset& dataset,
                                                         const TorchGenerator& generator,
                                                         const TrainerOptions& options) {
  MASE_ASSIGN_OR_RETURN(TrainingSettings settings, TrainingSettings::Create(options.settings));
  MASE_ASSIGN_OR_RETURN(SplitData train, dataset.Get(Split::kTrain));
  MASE_ASSIGN_OR_RETURN(SplitData validation, dataset.Get(Split::kValidation));
  if (settings.max_batches() > 0) {
    validation = Head(validation, settings.max_batches() * settings->batch_size());
  }
  auto trainer = absl::WrapUnique(new Trainer(std::move(graph), dataset, std::move(train),
                                              std::move(validation), std::move(settings), options));
  MASE_RETURN_IF_ERROR(trainer->CheckGraph());
  trainer->state_.generator = generator;
  MASE_RETURN_IF_ERROR(trainer->MakeLearner());
  trainer->Announce();
  return trainer;
}

Trainer::Trainer(Graph graph, const Dataset& dataset, SplitData train, SplitData validation,
                 TrainingSettings settings, const TrainerOptions& options)
    : graph_(std::move(graph)),
      dataset_(dataset),
      train_(std::move(train)),
      validation_(std::move(validation)),
      settings_(std::move(settings)),
      options_(options),
      schedule_(settings_.schedule()),
      sampler_(train_.rows(), settings_->batch_size(), settings_->shuffle()),
      batches_(CountBatches(train_, settings_)) {}

absl::Status Trainer::CheckGraph() const {
  MASE_RETURN_IF_ERROR(options_.task.check(graph_, dataset_));
  if (const std::string what = FindNonFinite(graph_); !what.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", graph_.name(), "' cannot be trained: ", what));
  }
  return CheckSmallestBatch(graph_, train_.rows(), settings_->batch_size(), batches_);
}

absl::Status Trainer::MakeLearner() {
  MASE_ASSIGN_OR_RETURN(learner_,
                        Learner::Create(graph_, {.optimizer = settings_.optimizer(),
                                                 .weight_decay = settings_->weight_decay(),
                                                 .precision = settings_.precision(),
                                                 .seed = settings_->seed(),
                                                 .augmentation = dataset_.info().augmentation,
                                                 .loss = options_.task.loss,
                                                 .ebops_weight = settings_->ebops_weight()}));
  return absl::OkStatus();
}

void Trainer::Announce() const {
  if (settings_->trainer_precision() == "16-mixed") {
    options_.warn("trainer_precision 16-mixed needs a GPU; using 32");
  }
  const int64_t steps =
      (batches_ + settings_->accumulate_grad_batches() - 1) / settings_->accumulate_grad_batches();
  int64_t all_steps = steps * settings_->max_epochs();
  if (settings_->max_steps() >= 0) all_steps = std::min(all_steps, settings_->max_steps());
  const int64_t epochs = (all_steps + steps - 1) / steps;
  const std::vector<std::string>& names = dataset_.info().class_names;
  std::string balance;  // Said of the validation split where it is another.
  const auto announce = [&](const char* name, Split split, const SplitData& data) {
    options_.print(
        absl::StrCat(name, ": ", dataset_.Caption(split).value_or(""), ":\n  ", data.origin));
    const std::string line =
        absl::StrFormat("  %s; largest %.3f", ClassBalance(data, names),
                        LargestShare(data.labels.data<int64_t>(), dataset_.num_classes()));
    if (line != balance) options_.print(line);
    balance = line;
  };
  announce("train", Split::kTrain, train_);
  announce("validation", Split::kValidation, validation_);
  const int64_t last = std::min(train_.rows(), batches_ * settings_->batch_size()) -
                       (batches_ - 1) * settings_->batch_size();
  options_.print(
      absl::StrCat(WithCommas(steps), " steps per epoch (",
                   batches_ == steps ? "" : absl::StrCat(WithCommas(batches_), " "), "batches of ",
                   settings_->batch_size(), " rows",
                   last == settings_->batch_size() ? "" : absl::StrCat(", the last of ", last),
                   "), ", WithCommas(all_steps), " steps in all"));
  if (settings_->learning_rate() < schedule_.floor) {
    options_.warn(absl::StrCat("learning rate ", settings_->learning_rate(),
                               " is below the schedule's floor ", schedule_.floor,
                               ": it will rise from epoch to epoch"));
  }
  if (schedule_.period < epochs) {
    options_.warn(absl::StrCat("the schedule's t_max=", schedule_.period, " is shorter than the ",
                               epochs, " epochs of the run: the learning rate is at its floor ",
                               schedule_.floor, " in epoch ", schedule_.period,
                               " and rises again after it"));
  }
}

absl::Status Trainer::CheckLimits() const {
  // An epoch that was begun needs its end.
  const int64_t epochs = state_.epoch + (state_.batch > 0 ? 1 : 0);
  if (settings_->max_epochs() < epochs) {
    return absl::InvalidArgumentError(absl::StrCat("max_epochs=", settings_->max_epochs(),
                                                   " is too few: ", epochs,
                                                   " are begun or done already"));
  }
  if (settings_->max_steps() >= 0 && settings_->max_steps() < state_.step) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_steps=", settings_->max_steps(), " is too few: ", state_.step, " are done already"));
  }
  return absl::OkStatus();
}

absl::Status Trainer::Restore(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/", kLastCheckpoint);
  MASE_RETURN_IF_ERROR(RestoreFrom(path));
  MASE_RETURN_IF_ERROR(Annotate(CheckLimits(), path));
  MASE_RETURN_IF_ERROR(CheckBest(directory));
  restored_ = true;
  AnnounceRestored(directory);
  return absl::OkStatus();
}

absl::Status Trainer::RestoreFrom(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(path));
  const auto fact = checkpoint.contents.metadata.find(kSettingsFact);
  if (fact != checkpoint.contents.metadata.end()) {
    MASE_RETURN_IF_ERROR(
        Annotate(CompareSettings(fact->second, settings_.Text(train_.rows(), validation_.rows()),
                                 options_.print),
                 path));
  }
  absl::StatusOr<BindReport> bound = BindTensors(checkpoint.contents, graph_);
  if (!bound.ok()) return Annotate(bound.status(), path);
  // Training changes formats, too: their learned steps.
  if (checkpoint.graph.has_value()) graph_ = *std::move(checkpoint.graph);
  MASE_RETURN_IF_ERROR(Annotate(CheckGraph(), path));
  MASE_RETURN_IF_ERROR(MakeLearner());
  MASE_RETURN_IF_ERROR(Annotate(learner_->ImportState(checkpoint.contents), path));
  absl::StatusOr<TrainingState> state = TrainingState::Import(checkpoint.contents);
  if (!state.ok()) return Annotate(state.status(), path);
  state_ = *std::move(state);
  return absl::OkStatus();
}

absl::Status Trainer::CheckBest(const std::string& directory) const {
  if (state_.best_epoch < 0) return absl::OkStatus();
  const absl::Status best = LoadCheckpoint(absl::StrCat(directory, "/", kBestCheckpoint)).status();
  if (best.ok()) return best;
  return absl::Status(
      best.code(),
      absl::StrCat(best.message(), "; it holds the best net so far, of epoch ", state_.best_epoch,
                   ", which the training would be asked for at its end: bring it back, "
                   "or begin anew in another --run_dir"));
}

void Trainer::AnnounceRestored(const std::string& directory) const {
  const std::string steps = absl::StrCat("resumed after ", WithCommas(state_.step), " steps");
  if (!Done()) {
    options_.print(absl::StrCat(steps, ", in epoch ", state_.epoch, " (of ",
                                settings_->max_epochs(), ") at learning rate ",
                                absl::StrFormat("%.3g", schedule_.Rate(state_.epoch))));
    return;
  }
  const bool by_epochs = state_.epoch >= settings_->max_epochs();
  const char* setting = by_epochs ? "max_epochs=" : "max_steps=";
  const int64_t limit = by_epochs ? settings_->max_epochs() : settings_->max_steps();
  options_.print(absl::StrCat(steps, ": the run is finished (", setting, limit, ")"));
  options_.print(absl::StrCat("To train on, for example as long again:\n  --resume=", directory,
                              " --", setting, std::max<int64_t>(1, 2 * limit)));
}

bool Trainer::Done() const {
  // An epoch that max_steps cut short has yet to be validated.
  const bool cut = settings_->max_steps() >= 0 && state_.step >= settings_->max_steps();
  return state_.epoch >= settings_->max_epochs() || (cut && state_.batch == 0);
}

absl::StatusOr<TrainingResult> Trainer::Run(const std::string& directory) {
  const FlushSubnormalsEverywhere flush;
  directory_ = directory;
  MASE_ASSIGN_OR_RETURN(log_, TrainingLog::Open({.directory = directory,
                                                 .name = RunName(graph_, directory),
                                                 .step = state_.step,
                                                 .epoch = state_.epoch}));
  if (!log_->lost().empty()) {
    options_.warn(absl::StrCat(log_->lost(), ": it was changed; what it had is lost"));
  }
  if (!restored_) MASE_RETURN_IF_ERROR(SaveLast());
  if (state_.step == 0) log_->Write(0, 0, {{"hp_metric", -1.0f}});
  TrainingResult result;
  while (!Done() && result.ending.ok()) {
    epoch_began_ = RecordedTime();
    result.ending = TrainEpoch();
    if (result.ending.ok()) {
      result.ending = Interrupted() ? absl::CancelledError("interrupted") : EndEpoch();
    }
    if (result.ending.ok() || absl::IsCancelled(result.ending)) {
      if (absl::Status saved = SaveLast(); !saved.ok()) result.ending = saved;
    }
    const bool known =
        result.ending.ok() || absl::IsCancelled(result.ending) || absl::IsOutOfRange(result.ending);
    if (!known) return result.ending;
  }
  MASE_RETURN_IF_ERROR(log_->Flush());
  MASE_RETURN_IF_ERROR(log_->WriteCurves());
  result.steps = state_.step;
  result.history.assign(log_->history().begin(), log_->history().end());
  result.best_epoch = state_.best_epoch;
  result.files = log_->Files();
  result.files.push_back(kLastCheckpoint);
  if (state_.best_epoch >= 0) result.files.push_back(kBestCheckpoint);
  return result;
}

constexpr double kUsualRate = 1e-3;  // What most small nets learn well with.

// What to say and keep when numbers stop being numbers.
absl::Status Trainer::Diverged(absl::string_view what) const {
  const double rate = schedule_.Rate(state_.epoch);
  const std::string lower =
      absl::StrFormat("%.1g", std::min(settings_->learning_rate() / 10, kUsualRate));
  const std::string kept = state_.best_epoch >= 0
                               ? absl::StrCat(kBestCheckpoint, " is the net of epoch ",
                                              state_.best_epoch, ", the best before that")
                               : absl::StrCat("no epoch had ended: there is no ", kBestCheckpoint);
  return absl::OutOfRangeError(absl::StrCat(
      "epoch ", state_.epoch, ", step ", state_.step, ", learning rate ",
      absl::StrFormat("%.3g", rate), ": ", what, "\n  Kept: ", kept, ".\n  Try --learning-rate=",
      lower, "; for data of large values --set dataset.standardize=true.",
      "\n  Or go on from the last good state: --resume=", directory_, " --learning-rate=", lower));
}

absl::Status Trainer::TrainEpoch() {
  if (state_.batch == 0) {
    sampler_.StartPass(state_.generator);
    state_.epoch_seed = sampler_.pass_seed();
  } else {
    sampler_.ResumePass(state_.epoch_seed);
  }
  const double rate = schedule_.Rate(state_.epoch);
  Progress progress(absl::StrCat("epoch ", state_.epoch, " (of ", settings_->max_epochs(), ")"),
                    batches_, "batch", options_.terminal);
  LossFigures last;
  while (state_.batch < batches_ && state_.step != settings_->max_steps()) {
    const int64_t end = std::min(batches_, state_.batch + settings_->accumulate_grad_batches());
    int64_t rows = 0;
    for (; state_.batch < end; ++state_.batch) {
      const absl::Span<const int64_t> batch = sampler_.Batch(state_.batch);
      rows = static_cast<int64_t>(batch.size());
      MASE_ASSIGN_OR_RETURN(
          last,
          learner_->AddBatch(train_, batch,
                             1.0 / static_cast<double>(settings_->accumulate_grad_batches())));
      if (!std::isfinite(last.loss)) {
        LogStep(rate, last, rows);
        return Diverged(absl::StrCat("the training loss is ", ShortestNumber(last.loss)));
      }
      state_.loss_sum += last.loss;
    }
    learner_->Step(rate);
    if ((state_.step + 1) % settings_->log_every_n_steps() == 0) LogStep(rate, last, rows);
    ++state_.step;
    progress.Update(state_.batch, [&] {
      return absl::StrFormat("loss %.2f acc %.2f", state_.loss_sum / state_.batch,
                             static_cast<double>(last.correct) / rows);
    });
    if (Interrupted()) break;
    if (settings_->checkpoint_every_n_steps() > 0 && state_.batch < batches_ &&
        state_.step % settings_->checkpoint_every_n_steps() == 0) {
      MASE_RETURN_IF_ERROR(SaveLast());
    }
  }
  return absl::OkStatus();
}

void Trainer::LogStep(double rate, const LossFigures& loss, int64_t rows) {
  log_->Write(
      state_.step, state_.epoch,
      {{absl::StrCat("lr-", OptimizerClass(settings_.optimizer())), static_cast<float>(rate)},
       {"train_acc_step", static_cast<float>(loss.correct) / static_cast<float>(rows)},
       {"train_loss_step", static_cast<float>(loss.loss)}});
}

absl::Status Trainer::EndEpoch() {
  TorchGenerator generator = state_.generator;
  generator.Int63();  // What a loader's pass draws, as in BatchSampler.
  Evaluation validation;
  {
    Progress progress("validation", validation_.rows(), "row", options_.terminal);
    const auto go_on = [&](int64_t rows) { return progress.Update(rows), !Interrupted(); };
    MASE_ASSIGN_OR_RETURN(validation,
                          learner_->Evaluate(validation_, settings_->batch_size(), go_on));
  }
  const EpochRecord record = {.epoch = state_.epoch,
                              .rate = schedule_.Rate(state_.epoch),
                              .train_loss = state_.loss_sum / static_cast<double>(state_.batch),
                              .val_loss = validation.loss,
                              .val_acc = validation.accuracy,
                              .val_correct = validation.correct,
                              .val_total = validation.samples,
                              .seconds = absl::ToDoubleSeconds(RecordedTime() - epoch_began_)};
  log_->Write(state_.step - 1, state_.epoch,
              {{"val_acc_epoch", validation.accuracy},
               {"val_loss_epoch", static_cast<float>(validation.loss)}});
  MASE_RETURN_IF_ERROR(log_->WriteEpoch(record));
  options_.print(absl::StrFormat("epoch %d: loss %s, val loss %s, val acc %.4f, lr %.3g, %.2f s",
                                 record.epoch, Figure(record.train_loss), Figure(record.val_loss),
                                 record.val_acc, record.rate, record.seconds));
  if (!std::isfinite(validation.loss)) {
    return Diverged(absl::StrCat("the validation loss is ", ShortestNumber(validation.loss)));
  }
  MASE_RETURN_IF_ERROR(Store());
  MASE_RETURN_IF_ERROR(SaveBest(validation.loss + learner_->WidthPenalty()));
  state_.generator = generator;
  ++state_.epoch;
  state_.batch = 0;
  state_.loss_sum = 0;
  if (!options_.goes_on || options_.goes_on(record)) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("ended after epoch ", record.epoch));
}

absl::Status Trainer::Store() {
  MASE_RETURN_IF_ERROR(learner_->StoreTo(graph_));
  const std::string what = FindNonFinite(graph_);
  return what.empty() ? absl::OkStatus() : Diverged(what);
}

std::map<std::string, std::string> Trainer::Facts() const {
  std::map<std::string, std::string> facts = options_.facts;
  facts[kSettingsFact] = settings_.Text(train_.rows(), validation_.rows());
  return facts;
}

absl::Status Trainer::SaveBest(double loss) {
  if (state_.best_epoch >= 0 && loss >= state_.best_loss) return absl::OkStatus();
  state_.best_epoch = state_.epoch;
  state_.best_loss = loss;
  return SaveCheckpoint(absl::StrCat(directory_, "/", kBestCheckpoint), graph_, Facts());
}

absl::Status Trainer::SaveLast() {
  MASE_RETURN_IF_ERROR(log_->Flush());  // A resumed run finds all that came before the checkpoint.
  MASE_RETURN_IF_ERROR(Store());
  std::vector<NamedTensor> extra = learner_->ExportState();
  for (NamedTensor& tensor : state_.Export()) extra.push_back(std::move(tensor));
  return SaveCheckpoint(absl::StrCat(directory_, "/", kLastCheckpoint), graph_, Facts(), extra);
}

}  // namespace mase
