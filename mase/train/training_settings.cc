#include "mase/train/training_settings.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"
#include "mase/train/training_log.h"

namespace mase {
namespace {

// In the order of the text.
std::vector<std::pair<absl::string_view, absl::string_view>> Lines(absl::string_view text) {
  std::vector<std::pair<absl::string_view, absl::string_view>> lines;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(absl::StrSplit(line, absl::MaxSplits('=', 1)));
  }
  return lines;
}

}  // namespace

absl::StatusOr<TrainingSettings> TrainingSettings::Create(const RunConfig& config) {
  RunConfig complete = config;
  MASE_RETURN_IF_ERROR(CompleteMessage(complete));
  MASE_ASSIGN_OR_RETURN(const OptimizerKind optimizer,
                        ParseOptimizer(complete.training_optimizer()));
  return TrainingSettings(std::move(complete), optimizer);
}

Precision TrainingSettings::precision() const {
  for (const Precision precision : {Precision::kFloat64, Precision::kBfloat16}) {
    if (config_.trainer_precision() == PrecisionName(precision)) return precision;
  }
  return Precision::kFloat32;
}

CosineSchedule TrainingSettings::schedule() const {
  return {config_.learning_rate(),
          config_.has_eta_min() ? config_.eta_min() : DefaultRateFloor(optimizer_),
          std::max<int64_t>(1, config_.has_t_max() ? config_.t_max() : config_.max_epochs())};
}

int64_t TrainingSettings::max_batches() const { return config_.to_debug() ? 1 : 0; }

std::string TrainingSettings::Text(int64_t train_rows, int64_t validation_rows) const {
  std::string text;
  const auto add = [&text](absl::string_view name, const auto& value) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", name, "=", value);
  };
  add("training_optimizer", OptimizerName(optimizer_));
  add("learning_rate", ShortestNumber(config_.learning_rate()));
  add("weight_decay", ShortestNumber(config_.weight_decay()));
  add("ebops_weight", ShortestNumber(config_.ebops_weight()));
  add("eta_min", ShortestNumber(schedule().floor));
  add("t_max", schedule().period);
  add("trainer_precision", PrecisionName(precision()));
  add("batch_size", config_.batch_size());
  add("shuffle", config_.shuffle() ? "true" : "false");
  add("max_epochs", config_.max_epochs());
  add("max_steps", config_.max_steps());
  add("max_batches", max_batches());
  add("accumulate_grad_batches", config_.accumulate_grad_batches());
  add("seed", config_.seed());
  add("train_rows", train_rows);
  add("validation_rows", validation_rows);
  return text;
}

absl::Status CompareSettings(absl::string_view before, absl::string_view now,
                             const std::function<void(absl::string_view)>& print) {
  const auto lines = Lines(before);
  const std::map<absl::string_view, absl::string_view> known(lines.begin(), lines.end());
  for (const auto& [name, value] : Lines(now)) {
    const auto was = known.find(name);
    if (was == known.end() || was->second == value) continue;
    if (!absl::c_linear_search(kMayChangeOnResume, name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot go on with ", name, "=", value, ", it was made with ", was->second));
    }
    print(absl::StrCat("now ", name, "=", value, ", before ", was->second));
  }
  return absl::OkStatus();
}

}  // namespace mase
