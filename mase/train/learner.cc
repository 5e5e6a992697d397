#include "mase/train/learner.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/exec/loss.h"
#include "mase/kernel/dense/dense.h"
#include "mase/train/dense_chain.h"

namespace mase {
namespace {

constexpr char kStepsTensor[] = "optimizer.step";

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

// A number that looks random, the same for the same two. SplitMix64's last steps.
uint64_t Mix(uint64_t seed, uint64_t index) {
  uint64_t x = seed * 0x9E3779B97F4A7C15u + index + 1;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// What a dropout layer multiplies a batch with: 0 with probability p, else 1 / (1 - p).
struct DropoutFactors {
  double p = 0;
  int64_t features = 0;
  std::vector<float> values = {};  // [rows, features]

  void Draw(uint64_t seed, int64_t rows) {
    values.resize(rows * features);
    const uint64_t threshold = static_cast<uint64_t>(p * 0x1p32);
    const float kept = p < 1 ? static_cast<float>(1 / (1 - p)) : 0;
    const int64_t count = static_cast<int64_t>(values.size());
    for (int64_t i = 0; i < count; ++i) {
      values[i] = Mix(seed, i) >> 32 < threshold ? 0 : kept;
    }
  }
};

template <typename T>
class LearnerOf final : public Learner {
 public:
  LearnerOf(std::unique_ptr<BasicExecutor<T>> executor, int64_t classes,
            const LearnerOptions& options)
      : executor_(std::move(executor)),
        classes_(classes),
        seed_(options.seed),
        augmentation_(options.augmentation),
        optimizer_(options.optimizer, options.weight_decay,
                   static_cast<int64_t>(executor_->parameters().size())) {}

  // Trains through one fused kernel where the graph is what it can do.
  absl::Status UseFusedKernel(const Graph& graph, const LearnerOptions& options);

  absl::StatusOr<ClassificationLoss> AddBatch(const SplitData& data, absl::Span<const int64_t> rows,
                                              double share) override {
    absl::StatusOr<ClassificationLoss> loss =
        fused_.has_value() ? RunFused(data, rows) : RunExecutor(data, rows);
    if (!loss.ok()) return loss;
    const bool alone = share == 1 && !has_sum_;
    if (!alone) AddToSum(static_cast<T>(share));
    return loss;
  }

  void Step(double rate) override {
    optimizer_.Step(rate, has_sum_ ? absl::MakeConstSpan(sum_) : gradients(),
                    executor_->parameters());
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
  // The features of batch_ as the executor wants them.
  const T* Input() {
    const absl::Span<const float> features = batch_.data<float>();
    if constexpr (std::is_same_v<T, float>) return features.data();
    features_.assign(features.begin(), features.end());
    return features_.data();
  }

  absl::Span<const T> gradients() const {
    return fused_.has_value() ? absl::MakeConstSpan(fused_gradients_) : executor_->gradients();
  }

  absl::StatusOr<ClassificationLoss> RunExecutor(const SplitData& data,
                                                 absl::Span<const int64_t> rows);
  absl::StatusOr<ClassificationLoss> RunFused(const SplitData& data,
                                              absl::Span<const int64_t> rows);
  void AddToSum(T share);

  std::unique_ptr<BasicExecutor<T>> executor_;
  const int64_t classes_;
  const uint64_t seed_;
  const std::optional<ImageAugmentation> augmentation_;
  Optimizer<T> optimizer_;

  // Of one batch.
  Tensor batch_;
  std::vector<T> features_;  // The same, where T is not float.
  std::vector<int64_t> labels_;
  std::vector<T> diff_scores_;

  // Several batches to a step.
  bool has_sum_ = false;
  std::vector<T> sum_;

  std::optional<DenseNet> fused_;
  std::vector<T> fused_gradients_;
  std::vector<T> workspace_;
  std::vector<DropoutFactors> dropouts_;
  std::vector<int64_t> batch_counters_;  // Offsets of num_batches_tracked in buffers().
};

template <typename T>
absl::Status LearnerOf<T>::UseFusedKernel(const Graph& graph, const LearnerOptions& options) {
  if constexpr (std::is_same_v<T, float>) {
    const auto chain =
        FindDenseChain(graph, executor_->parameter_slots(), executor_->buffer_slots());
    if (!chain.has_value() || augmentation_.has_value()) return absl::OkStatus();
    MASE_ASSIGN_OR_RETURN(
        fused_,
        DenseNet::Create(chain->layers, {.bfloat16 = options.precision == Precision::kBfloat16}));
    for (const DenseChain::Dropout& dropout : chain->dropouts) {
      dropouts_.push_back({dropout.p, dropout.features});
    }
    fused_gradients_.resize(executor_->parameters().size());
    for (const TensorSlot& slot : executor_->buffer_slots()) {
      if (absl::EndsWith(slot.name, "num_batches_tracked")) batch_counters_.push_back(slot.offset);
    }
  }
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<ClassificationLoss> LearnerOf<T>::RunFused(const SplitData& data,
                                                          absl::Span<const int64_t> rows) {
  if constexpr (std::is_same_v<T, float>) {
    const int64_t count = static_cast<int64_t>(rows.size());
    const size_t needed = fused_->WorkspaceFloats(count, DenseMode::kTraining);
    if (workspace_.size() < needed) workspace_.resize(needed);
    const uint64_t step = executor_->step();
    executor_->set_step(step + 1);
    std::vector<const float*> factors;
    for (DropoutFactors& dropout : dropouts_) {
      dropout.Draw(Mix(seed_, step * dropouts_.size() + factors.size()), count);
      factors.push_back(dropout.values.data());
    }
    const absl::Span<T> buffers = executor_->buffers();
    for (const int64_t offset : batch_counters_) buffers[offset] += 1;
    return fused_->TrainStep(
        {.data = data.features.data<float>().data(), .index = rows.data(), .rows = count},
        data.labels.data<int64_t>().data(),
        {.parameters = executor_->parameters().data(),
         .gradients = fused_gradients_.data(),
         .buffers = buffers.data(),
         .workspace = workspace_.data(),
         .dropout = factors.data()});
  }
  return absl::InternalError("fused training is for float32");
}

template <typename T>
absl::StatusOr<ClassificationLoss> LearnerOf<T>::RunExecutor(const SplitData& data,
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
  diff_scores_.resize(count * classes_);
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(all_features + rows[i] * sample, sample, features + i * sample);
    labels_[i] = all_labels[rows[i]];
  }
  // The executor counts the steps in training mode: a seed of its own for each batch. The odd
  // factor (Knuth's) keeps runs of neighbouring seeds apart.
  if (augmentation_.has_value()) {
    augmentation_->Apply(seed_ * 2654435761u + executor_->step(), batch_);
  }
  MASE_RETURN_IF_ERROR(executor_->Forward(ExecutionMode::kTraining, count, {Input()}));
  CHECK_EQ(executor_->output().size(), diff_scores_.size());
  const ClassificationLoss loss = CrossEntropy(executor_->output().data(), labels_.data(), count,
                                               classes_, diff_scores_.data());
  MASE_RETURN_IF_ERROR(executor_->Backward({diff_scores_.data()}));
  return loss;
}

template <typename T>
void LearnerOf<T>::AddToSum(T share) {
  const absl::Span<const T> batch = gradients();
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
  // A graph's tensors are float32: more is kept beside them.
  if constexpr (std::is_same_v<T, double>) {
    add("float64", executor_->parameter_slots(), executor_->parameters());
    add("float64", executor_->buffer_slots(), executor_->buffers());
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
  if constexpr (std::is_same_v<T, double>) {
    MASE_RETURN_IF_ERROR(read("float64", executor_->parameter_slots(), executor_->parameters()));
    MASE_RETURN_IF_ERROR(read("float64", executor_->buffer_slots(), executor_->buffers()));
  }
  optimizer_.set_steps(steps->data<int64_t>()[0]);
  executor_->set_step(static_cast<uint64_t>(steps->data<int64_t>()[1]));
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::unique_ptr<Learner>> Make(const Graph& graph, int64_t classes,
                                              const LearnerOptions& options) {
  MASE_ASSIGN_OR_RETURN(
      auto executor,
      BasicExecutor<T>::Create(
          graph, {.bfloat16 = options.precision == Precision::kBfloat16, .seed = options.seed}));
  auto learner = std::make_unique<LearnerOf<T>>(std::move(executor), classes, options);
  MASE_RETURN_IF_ERROR(learner->UseFusedKernel(graph, options));
  return learner;
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

absl::StatusOr<std::unique_ptr<Learner>> Learner::Create(const Graph& graph, int64_t classes,
                                                         const LearnerOptions& options) {
  return options.precision == Precision::kFloat64 ? Make<double>(graph, classes, options)
                                                  : Make<float>(graph, classes, options);
}

}  // namespace mase
