#include "mase/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/evaluation.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/train/flush_denormals.h"

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

// How many classes a net tells apart: its one result is [rows, classes].
absl::StatusOr<int64_t> ClassesOf(const Graph& graph, const Dataset& dataset) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  const Node* output = graph.output();
  if (output == nullptr || output->inputs().size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", graph.name(), "' must have one result, the scores of the classes"));
  }
  const Shape& scores = shapes.shape(output->inputs()[0]);
  if (scores.rank() != 2) {
    return absl::InvalidArgumentError(absl::StrCat("model '", graph.name(),
                                                   "' has results of shape ", scores.ToString(),
                                                   ", want [rows, classes]"));
  }
  if (scores[1] < dataset.num_classes()) {
    return absl::InvalidArgumentError(absl::StrCat("model '", graph.name(), "' tells ", scores[1],
                                                   " classes apart, data set '", dataset.name(),
                                                   "' has ", dataset.num_classes()));
  }
  return scores[1];
}

int64_t CountBatches(const SplitData& data, const TrainerOptions& options) {
  const int64_t batches = (data.rows() + options.batch_size - 1) / options.batch_size;
  return options.max_batches > 0 ? std::min(batches, options.max_batches) : batches;
}

CosineSchedule MakeSchedule(const TrainerOptions& options) {
  return {options.learning_rate, options.rate_floor.value_or(DefaultRateFloor(options.optimizer)),
          std::max<int64_t>(1, options.rate_period > 0 ? options.rate_period : options.max_epochs)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(Graph graph, const Dataset& dataset,
                                                         const TorchGenerator& generator,
                                                         const TrainerOptions& options) {
  MASE_ASSIGN_OR_RETURN(SplitData train, dataset.Get(Split::kTrain));
  MASE_ASSIGN_OR_RETURN(SplitData validation, dataset.Get(Split::kValidation));
  if (options.max_batches > 0) {
    validation = Head(validation, options.max_batches * options.batch_size);
  }
  MASE_ASSIGN_OR_RETURN(const int64_t classes, ClassesOf(graph, dataset));
  MASE_RETURN_IF_ERROR(
      CheckSmallestBatch(graph, train.rows(), options.batch_size, CountBatches(train, options)));
  auto trainer = absl::WrapUnique(
      new Trainer(std::move(graph), std::move(train), std::move(validation), classes, options));
  trainer->augmentation_ = dataset.info().augmentation;
  trainer->state_.generator = generator;
  MASE_RETURN_IF_ERROR(trainer->MakeLearner());
  trainer->Announce(dataset);
  return trainer;
}

Trainer::Trainer(Graph graph, SplitData train, SplitData validation, int64_t classes,
                 const TrainerOptions& options)
    : graph_(std::move(graph)),
      train_(std::move(train)),
      validation_(std::move(validation)),
      classes_(classes),
      options_(options),
      schedule_(MakeSchedule(options)),
      sampler_(train_.rows(), options.batch_size, options.shuffle),
      batches_(CountBatches(train_, options)) {}

absl::Status Trainer::MakeLearner() {
  MASE_ASSIGN_OR_RETURN(learner_, Learner::Create(graph_, classes_,
                                                  {.optimizer = options_.optimizer,
                                                   .weight_decay = options_.weight_decay,
                                                   .precision = options_.precision,
                                                   .seed = options_.seed,
                                                   .augmentation = augmentation_}));
  return absl::OkStatus();
}

void Trainer::Announce(const Dataset& dataset) const {
  const int64_t steps = (batches_ + options_.accumulate - 1) / options_.accumulate;
  int64_t all_steps = steps * options_.max_epochs;
  if (options_.max_steps >= 0) all_steps = std::min(all_steps, options_.max_steps);
  options_.print(
      absl::StrCat("train: ", dataset.Caption(Split::kTrain).value_or(""), ": ", train_.origin));
  options_.print(absl::StrCat("validation: ", dataset.Caption(Split::kValidation).value_or(""),
                              ": ", validation_.origin));
  options_.print(absl::StrCat(WithCommas(steps), " steps per epoch (", WithCommas(batches_),
                              " batches of ", options_.batch_size, " rows, the last of ",
                              std::min(train_.rows(), batches_ * options_.batch_size) -
                                  (batches_ - 1) * options_.batch_size,
                              "), ", WithCommas(all_steps), " steps in all"));
  if (options_.learning_rate < schedule_.floor) {
    options_.warn(absl::StrCat("learning rate ", options_.learning_rate,
                               " is below the schedule's floor ", schedule_.floor,
                               ": it will rise from epoch to epoch"));
  }
}

std::string Trainer::Settings() const {
  const std::pair<const char*, std::string> settings[] = {
      {"optimizer", std::string(OptimizerName(options_.optimizer))},
      {"learning_rate", ShortestNumber(options_.learning_rate)},
      {"weight_decay", ShortestNumber(options_.weight_decay)},
      {"rate_floor", ShortestNumber(schedule_.floor)},
      {"rate_period", absl::StrCat(schedule_.period)},
      {"precision", std::string(PrecisionName(options_.precision))},
      {"batch_size", absl::StrCat(options_.batch_size)},
      {"shuffle", options_.shuffle ? "true" : "false"},
      {"max_epochs", absl::StrCat(options_.max_epochs)},
      {"max_steps", absl::StrCat(options_.max_steps)},
      {"max_batches", absl::StrCat(options_.max_batches)},
      {"accumulate", absl::StrCat(options_.accumulate)},
      {"seed", absl::StrCat(options_.seed)},
      {"train_rows", absl::StrCat(train_.rows())},
      {"validation_rows", absl::StrCat(validation_.rows())},
  };
  return absl::StrJoin(settings, "\n", absl::PairFormatter("="));
}

absl::StatusOr<TrainingResult> Trainer::Run(const std::string& directory) {
  directory_ = directory;
  MASE_ASSIGN_OR_RETURN(log_, TrainingLog::Open({.directory = directory}));
  MASE_RETURN_IF_ERROR(SaveLast());
  return TrainToEnd();
}

absl::StatusOr<TrainingResult> Trainer::Resume(const std::string& directory) {
  directory_ = directory;
  MASE_RETURN_IF_ERROR(Restore());
  MASE_ASSIGN_OR_RETURN(
      log_,
      TrainingLog::Open({.directory = directory, .step = state_.step, .epoch = state_.epoch}));
  return TrainToEnd();
}

absl::Status Trainer::Restore() {
  const std::string path = absl::StrCat(directory_, "/", kLastCheckpoint);
  MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(path));
  const auto fact = checkpoint.contents.metadata.find(kSettingsFact);
  const std::vector<std::string> saved =
      absl::StrSplit(fact == checkpoint.contents.metadata.end() ? "" : fact->second, '\n');
  const std::vector<std::string> present = absl::StrSplit(Settings(), '\n');
  for (size_t i = 0; i < present.size(); ++i) {
    if (i < saved.size() && saved[i] == present[i]) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot go on with ", present[i], ", it was made with ",
                     i < saved.size() ? saved[i] : "no such setting"));
  }
  absl::StatusOr<BindReport> bound = BindTensors(checkpoint.contents, graph_);
  if (!bound.ok()) return Annotate(bound.status(), path);
  // Training changes formats, too: their learned steps.
  if (checkpoint.graph.has_value()) graph_ = *std::move(checkpoint.graph);
  MASE_RETURN_IF_ERROR(MakeLearner());
  if (const absl::Status status = learner_->ImportState(checkpoint.contents); !status.ok()) {
    return Annotate(status, path);
  }
  absl::StatusOr<TrainingState> state = TrainingState::Import(checkpoint.contents);
  if (!state.ok()) return Annotate(state.status(), path);
  state_ = *std::move(state);
  options_.print(absl::StrCat("resumed after ", WithCommas(state_.step), " steps, in epoch ",
                              state_.epoch + 1, " of ", options_.max_epochs));
  return absl::OkStatus();
}

bool Trainer::Done() const {
  // An epoch that max_steps cut short has yet to be validated.
  const bool cut = options_.max_steps >= 0 && state_.step >= options_.max_steps;
  return state_.epoch >= options_.max_epochs || (cut && state_.batch == 0);
}

absl::StatusOr<TrainingResult> Trainer::TrainToEnd() {
  const FlushDenormals flush;
  if (state_.step == 0) log_->Write(0, 0, {{"hp_metric", -1.0f}});
  TrainingResult result;
  while (!Done() && !result.interrupted) {
    epoch_began_ = absl::Now();
    MASE_RETURN_IF_ERROR(TrainEpoch());
    const absl::Status status = Interrupted() ? absl::CancelledError() : EndEpoch();
    result.interrupted = absl::IsCancelled(status);
    if (!result.interrupted) MASE_RETURN_IF_ERROR(status);
    MASE_RETURN_IF_ERROR(SaveLast());
  }
  MASE_RETURN_IF_ERROR(log_->WriteCurves());
  result.steps = state_.step;
  result.history.assign(log_->history().begin(), log_->history().end());
  result.best_epoch = state_.best_epoch;
  result.files = log_->Files();
  result.files.push_back(kLastCheckpoint);
  if (state_.best_epoch >= 0) result.files.push_back(kBestCheckpoint);
  return result;
}

absl::Status Trainer::TrainEpoch() {
  if (state_.batch == 0) {
    sampler_.StartPass(state_.generator);
    state_.epoch_seed = sampler_.pass_seed();
  } else {
    sampler_.ResumePass(state_.epoch_seed);
  }
  const double rate = schedule_.Rate(state_.epoch);
  Progress progress(absl::StrCat("epoch ", state_.epoch + 1, "/", options_.max_epochs), batches_,
                    "batch", options_.terminal);
  ClassificationLoss last;
  while (state_.batch < batches_ && state_.step != options_.max_steps) {
    const int64_t end = std::min(batches_, state_.batch + options_.accumulate);
    int64_t rows = 0;
    for (; state_.batch < end; ++state_.batch) {
      const absl::Span<const int64_t> batch = sampler_.Batch(state_.batch);
      rows = static_cast<int64_t>(batch.size());
      MASE_ASSIGN_OR_RETURN(
          last, learner_->AddBatch(train_, batch, 1.0 / static_cast<double>(options_.accumulate)));
      state_.loss_sum += last.loss;
    }
    learner_->Step(rate);
    if ((state_.step + 1) % options_.log_every_n_steps == 0) LogStep(rate, last, rows);
    ++state_.step;
    if (!std::isfinite(last.loss) && !std::exchange(warned_of_nan_, true)) {
      options_.warn(
          absl::StrCat("step ", state_.step, ": the loss is ", ShortestNumber(last.loss)));
    }
    progress.Update(state_.batch, [&] {
      return absl::StrFormat("loss %.3f acc %.3f", state_.loss_sum / state_.batch,
                             static_cast<double>(last.correct) / rows);
    });
    if (Interrupted()) break;
    if (options_.checkpoint_every_n_steps > 0 && state_.batch < batches_ &&
        state_.step % options_.checkpoint_every_n_steps == 0) {
      MASE_RETURN_IF_ERROR(SaveLast());
    }
  }
  return absl::OkStatus();
}

void Trainer::LogStep(double rate, const ClassificationLoss& loss, int64_t rows) {
  log_->Write(state_.step, state_.epoch,
              {{absl::StrCat("lr-", OptimizerClass(options_.optimizer)), static_cast<float>(rate)},
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
    MASE_ASSIGN_OR_RETURN(validation, learner_->Evaluate(validation_, options_.batch_size, go_on));
  }
  const EpochRecord record = {.epoch = state_.epoch,
                              .rate = schedule_.Rate(state_.epoch),
                              .train_loss = state_.loss_sum / static_cast<double>(state_.batch),
                              .val_loss = validation.loss,
                              .val_acc = validation.accuracy,
                              .val_correct = validation.correct,
                              .val_total = validation.samples,
                              .seconds = absl::ToDoubleSeconds(absl::Now() - epoch_began_)};
  log_->Write(state_.step - 1, state_.epoch,
              {{"val_acc_epoch", validation.accuracy},
               {"val_loss_epoch", static_cast<float>(validation.loss)}});
  MASE_RETURN_IF_ERROR(log_->WriteEpoch(record));
  options_.print(absl::StrFormat(
      "epoch %d/%d: train loss %.4f, val loss %.4f, val acc %.4f (%d of %d), lr %.3g, %.2f s",
      record.epoch + 1, options_.max_epochs, record.train_loss, record.val_loss, record.val_acc,
      record.val_correct, record.val_total, record.rate, record.seconds));

  MASE_RETURN_IF_ERROR(SaveBest(validation.loss));
  state_.generator = generator;
  ++state_.epoch;
  state_.batch = 0;
  state_.loss_sum = 0;
  return absl::OkStatus();
}

// A NaN is worse than any number, but better than no checkpoint.
absl::Status Trainer::SaveBest(double val_loss) {
  const bool better = val_loss < state_.best_loss || state_.best_epoch < 0 ||
                      (std::isnan(state_.best_loss) && !std::isnan(val_loss));
  if (!better) return absl::OkStatus();
  state_.best_epoch = state_.epoch;
  state_.best_loss = val_loss;
  MASE_RETURN_IF_ERROR(learner_->StoreTo(graph_));
  return SaveCheckpoint(absl::StrCat(directory_, "/", kBestCheckpoint), graph_,
                        {{kSettingsFact, Settings()}});
}

absl::Status Trainer::SaveLast() {
  MASE_RETURN_IF_ERROR(log_->Flush());  // A resumed run finds all that came before the checkpoint.
  MASE_RETURN_IF_ERROR(learner_->StoreTo(graph_));
  std::vector<NamedTensor> extra = learner_->ExportState();
  for (NamedTensor& tensor : state_.Export()) extra.push_back(std::move(tensor));
  return SaveCheckpoint(absl::StrCat(directory_, "/", kLastCheckpoint), graph_,
                        {{kSettingsFact, Settings()}}, extra);
}

}  // namespace mase
