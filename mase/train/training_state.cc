#include "mase/train/training_state.h"

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr char kGenerator[] = "training.generator";
constexpr char kCounters[] = "training.counters";
constexpr char kLosses[] = "training.losses";

template <typename T>
absl::StatusOr<absl::Span<const T>> Numbers(const SafeTensors& file, absl::string_view name,
                                            int64_t count) {
  const Tensor* tensor = file.Find(name);
  if (tensor == nullptr) {
    return absl::DataLossError(absl::StrCat("training state: tensor '", name, "' is missing"));
  }
  if (tensor->dtype() != DTypeOf<T>::value || tensor->shape().rank() != 1 ||
      (count >= 0 && tensor->elements() != count)) {
    return absl::DataLossError(absl::StrCat("training state: tensor '", name, "' is ",
                                            DTypeName(tensor->dtype()),
                                            tensor->shape().ToString()));
  }
  return tensor->data<T>();
}

}  // namespace

std::vector<NamedTensor> TrainingState::Export() const {
  const std::vector<uint32_t> words = generator.ExportState();
  std::vector<int32_t> stored(words.size());  // There is no unsigned type among the tensors'.
  std::memcpy(stored.data(), words.data(), words.size() * sizeof(uint32_t));
  const std::vector<int64_t> counters = {epoch, step, batch, epoch_seed, best_epoch};
  const std::vector<double> losses = {loss_sum, best_loss};
  return {
      {kCounters, Tensor::FromValues<int64_t>({static_cast<int64_t>(counters.size())}, counters)},
      {kLosses, Tensor::FromValues<double>({static_cast<int64_t>(losses.size())}, losses)},
      {kGenerator, Tensor::FromValues<int32_t>({static_cast<int64_t>(stored.size())}, stored)}};
}

absl::StatusOr<TrainingState> TrainingState::Import(const SafeTensors& file) {
  TrainingState state;
  MASE_ASSIGN_OR_RETURN(const auto counters, Numbers<int64_t>(file, kCounters, 5));
  MASE_ASSIGN_OR_RETURN(const auto losses, Numbers<double>(file, kLosses, 2));
  MASE_ASSIGN_OR_RETURN(const auto stored, Numbers<int32_t>(file, kGenerator, -1));
  std::vector<uint32_t> words(stored.size());
  std::memcpy(words.data(), stored.data(), words.size() * sizeof(uint32_t));
  if (const absl::Status status = state.generator.ImportState(words); !status.ok()) {
    return absl::DataLossError(
        absl::StrCat("training state: tensor '", kGenerator, "': ", status.message()));
  }
  for (const int64_t counter : {counters[0], counters[1], counters[2]}) {
    if (counter < 0) {
      return absl::DataLossError(
          absl::StrCat("training state: tensor '", kCounters, "' holds ", counter));
    }
  }
  state.epoch = counters[0], state.step = counters[1], state.batch = counters[2];
  state.epoch_seed = counters[3], state.best_epoch = counters[4];
  state.loss_sum = losses[0], state.best_loss = losses[1];
  return state;
}

}  // namespace mase
