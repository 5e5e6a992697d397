#include "mase/train/learner.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/exec/operand_state.h"
#include "mase/train/width_penalty.h"

namespace mase {
namespace {

constexpr char kStepsTensor[] = "optimizer.step";
constexpr char kMaster[] = "master";  // The group of master weights.

// The tensor of a saved state, which must be `like` in type and shape.
absl::StatusOr<const Tensor*> FindState(const SafeTensors& file, const std::string& name,
                                        DType dtype, const Shape& shape) {
  const Tensor* tensor = file.Find(name);
  if (tensor != nullptr && tensor->dtype() == dtype && tensor->shape() == shape) return tensor;
  return absl::DataLossError(absl::StrCat(
      "training state: tensor '", name, "' is ",
      tensor == nullptr ? "missing"
                        : absl::StrCat(DTypeName(tensor->dtype()), tensor->shape().ToString()),
      ", want ", DTypeName(dtype), shape.ToString()));
}

template <typename T>
class LearnerOf final : public Learner {
 public:
  LearnerOf(std::unique_ptr<BasicExecutor<T>> executor, mase::WidthPenalty penalty, bool has_master,
            const LearnerOptions& options)
      : executor_(std::move(executor)),
        has_master_(has_master),
        penalty_(std::move(penalty)),
        seed_(options.seed),
        augmentation_(options.augmentation),
        optimizer_(options.optimizer, options.weight_decay,
                   static_cast<int64_t>(executor_->parameters().size())) {}

  absl::StatusOr<LossFigures> AddBatch(const SplitData& data, absl::Span<const int64_t> rows,
                                       double share) override {
    absl::StatusOr<LossFigures> loss =
        augmentation_.has_value() ? RunAugmented(data, rows) : RunPicked(data, rows);
    if (!loss.ok()) return loss;
    const bool alone = share == 1 && !has_sum_;
    if (!alone) AddToSum(static_cast<T>(share));
    return loss;
  }

  double WidthPenalty() const override {
    return penalty_.template Value<T>(executor_->parameters());
  }

  void Step(double rate) override {
    penalty_.template AddGradient<T>(
        executor_->parameters(), has_sum_ ? absl::MakeSpan(sum_) : executor_->mutable_gradients());
    optimizer_.Step(rate, has_sum_ ? absl::MakeConstSpan(sum_) : executor_->gradients(),
                    executor_->parameters());
    penalty_.template Clamp<T>(executor_->parameters());
    has_sum_ = false;
  }

  absl::StatusOr<Evaluation> Evaluate(const SplitData& data, int64_t batch_size,
                                      const std::function<bool(int64_t)>& go_on) override {
    const OutputSink<T> sink = [&go_on](int64_t first_row, absl::Span<const T>) {
      return go_on(first_row) ? absl::OkStatus() : absl::CancelledError("interrupted");
    };
    return mase::Evaluate(*executor_, data.features, data.labels, batch_size, sink);
  }

  absl::Status StoreTo(Graph& graph) const override { return executor_->StoreTo(graph); }
  std::vector<NamedTensor> ExportState() const override;
  absl::Status ImportState(const SafeTensors& file) override;

 private:
  absl::StatusOr<LossFigures> RunPicked(const SplitData& data, absl::Span<const int64_t> rows) {
    const InputData inputs[] = {data.features.data<float>().data()};
    return executor_->TrainStep({.inputs = inputs,
                                 .labels = data.labels.data<int64_t>().data(),
                                 .picked = rows.data(),
                                 .rows = static_cast<int64_t>(rows.size())});
  }

  // The same with copies of the rows, each changed by chance.
  absl::StatusOr<LossFigures> RunAugmented(const SplitData& data, absl::Span<const int64_t> rows);
  void AddToSum(T share);

  std::unique_ptr<BasicExecutor<T>> executor_;
  // Whether a graph cannot have what is trained bit for bit, so that it is kept beside it: its
  // tensors are float32, and weights with own grids are rounded.
  const bool has_master_;
  const mase::WidthPenalty penalty_;
  const uint64_t seed_;
  const std::optional<ImageAugmentation> augmentation_;
  Optimizer<T> optimizer_;

  // Of one batch, if that is augmented.
  Tensor batch_;
  std::vector<int64_t> labels_;

  // Several batches to a step.
  bool has_sum_ = false;
  std::vector<T> sum_;
};

template <typename T>
absl::StatusOr<LossFigures> LearnerOf<T>::RunAugmented(const SplitData& data,
                                                       absl::Span<const int64_t> rows) {
  const int64_t count = static_cast<int64_t>(rows.size());
  const int64_t sample = data.features.elements() / data.rows();
  const float* all_features = data.features.data<float>().data();
  const int64_t* all_labels = data.labels.data<int64_t>().data();
  Shape shape = data.features.shape();
  shape.set_dim(0, count);
  if (!(batch_.shape() == shape)) batch_ = Tensor(DType::kFloat32, shape);
  float* features = batch_.mutable_data<float>().data();
  labels_.resize(count);
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(all_features + rows[i] * sample, sample, features + i * sample);
    labels_[i] = all_labels[rows[i]];
  }
  // The executor counts the steps in training mode: a seed of its own for each batch. The odd
  // factor (Knuth's) keeps runs of neighbouring seeds apart.
  augmentation_->Apply(seed_ * 2654435761u + executor_->step(), batch_);
  const InputData inputs[] = {features};
  return executor_->TrainStep({.inputs = inputs, .labels = labels_.data(), .rows = count});
}

template <typename T>
void LearnerOf<T>::AddToSum(T share) {
  const absl::Span<const T> batch = executor_->gradients();
  if (!has_sum_) sum_.assign(batch.size(), 0);
  has_sum_ = true;
  for (size_t i = 0; i < batch.size(); ++i) sum_[i] += share * batch[i];
}

template <typename T>
std::vector<NamedTensor> LearnerOf<T>::ExportState() const {
  std::vector<NamedTensor> state;
  const auto add = [&state](absl::string_view group, absl::Span<const TensorSlot> slots,
                            absl::Span<const T> values) {
    for (const TensorSlot& slot : slots) {
      state.push_back(
          {absl::StrCat(group, ".", slot.name),
           Tensor::FromValues<T>(slot.shape, values.subspan(slot.offset, slot.shape.elements()))});
    }
  };
  const int64_t counters[] = {optimizer_.steps(), static_cast<int64_t>(executor_->step())};
  state.push_back({kStepsTensor, Tensor::FromValues<int64_t>({2}, counters)});
  for (const auto& moment : optimizer_.states()) {
    add(absl::StrCat("optimizer.", moment.name), executor_->parameter_slots(), moment.values);
  }
  if (has_master_) {
    add(kMaster, executor_->parameter_slots(), executor_->parameters());
    add(kMaster, executor_->buffer_slots(), executor_->buffers());
  }
  return state;
}

template <typename T>
absl::Status LearnerOf<T>::ImportState(const SafeTensors& file) {
  const auto read = [&file](absl::string_view group, absl::Span<const TensorSlot> slots,
                            absl::Span<T> values) {
    for (const TensorSlot& slot : slots) {
      MASE_ASSIGN_OR_RETURN(
          const Tensor* tensor,
          FindState(file, absl::StrCat(group, ".", slot.name), DTypeOf<T>::value, slot.shape));
      const absl::Span<const T> saved = tensor->template data<T>();
      std::copy(saved.begin(), saved.end(), values.begin() + slot.offset);
    }
    return absl::OkStatus();
  };
  MASE_ASSIGN_OR_RETURN(const Tensor* steps, FindState(file, kStepsTensor, DType::kInt64, {2}));
  for (auto& moment : optimizer_.states()) {
    MASE_RETURN_IF_ERROR(read(absl::StrCat("optimizer.", moment.name), executor_->parameter_slots(),
                              absl::MakeSpan(moment.values)));
  }
  if (has_master_) {
    MASE_RETURN_IF_ERROR(read(kMaster, executor_->parameter_slots(), executor_->parameters()));
    MASE_RETURN_IF_ERROR(read(kMaster, executor_->buffer_slots(), executor_->buffers()));
  }
  optimizer_.set_steps(steps->data<int64_t>()[0]);
  executor_->set_step(static_cast<uint64_t>(steps->data<int64_t>()[1]));
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::unique_ptr<Learner>> Make(const Graph& graph, const LearnerOptions& options) {
  MASE_ASSIGN_OR_RETURN(
      auto executor,
      BasicExecutor<T>::Create(graph, {.bfloat16 = options.precision == Precision::kBfloat16,
                                       .seed = options.seed,
                                       .loss = options.loss}));
  MASE_ASSIGN_OR_RETURN(
      WidthPenalty penalty,
      WidthPenalty::Create(graph, executor->parameter_slots(), options.ebops_weight));
  const bool has_master = std::is_same_v<T, double> ||
                          absl::c_any_of(OperandStatesOf(graph), [](const OperandState& state) {
                            return !state.tensor.empty();
                          });
  return std::make_unique<LearnerOf<T>>(std::move(executor), std::move(penalty), has_master,
                                        options);
}

}  // namespace

absl::string_view PrecisionName(Precision precision) {
  switch (precision) {
    case Precision::kFloat32:
      return "32";
    case Precision::kFloat64:
      return "64";
    case Precision::kBfloat16:
      return "bf16";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Learner>> Learner::Create(const Graph& graph,
                                                         const LearnerOptions& options) {
  return options.precision == Precision::kFloat64 ? Make<double>(graph, options)
                                                  : Make<float>(graph, options);
}

}  // namespace mase
