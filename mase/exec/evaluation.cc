#include "mase/exec/evaluation.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/loss.h"

namespace mase {
namespace {

absl::Status CheckOutput(const Shape& output, int64_t rows, absl::Span<const int64_t> labels) {
  if (output.rank() != 2 || output[0] != rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("the net's output is ", output.ToString(), ", want [", rows, ", classes]"));
  }
  for (int64_t label : labels) {
    if (label < 0 || label >= output[1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", label, ", but the net has only ", output[1], " outputs"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

template <typename T>
absl::StatusOr<Evaluation> Evaluate(BasicExecutor<T>& executor, const Tensor& features,
                                    const Tensor& labels, int64_t batch_size,
                                    const std::type_identity_t<OutputSink<T>>& sink) {
  const absl::Span<const int64_t> all_labels = labels.data<int64_t>();
  const float* all_features = features.data<float>().data();
  const int64_t rows = labels.elements();
  const int64_t row_size = rows == 0 ? 0 : features.elements() / rows;
  std::vector<T> converted;  // Of one batch, where T is not float.
  Evaluation evaluation{.samples = rows};
  double loss_sum = 0;
  int64_t batches = 0;
  for (int64_t first = 0; first < rows; first += batch_size, ++batches) {
    const int64_t count = std::min(batch_size, rows - first);
    const absl::Span<const int64_t> batch_labels = all_labels.subspan(first, count);
    const float* features_of_batch = all_features + first * row_size;
    const T* input;
    if constexpr (std::is_same_v<T, float>) {
      input = features_of_batch;
    } else {
      converted.assign(features_of_batch, features_of_batch + count * row_size);
      input = converted.data();
    }
    MASE_RETURN_IF_ERROR(executor.Forward(ExecutionMode::kInference, count, {input}));
    MASE_RETURN_IF_ERROR(CheckOutput(executor.output_shape(), count, batch_labels));
    const ClassificationLoss batch =
        CrossEntropy(executor.output().data(), batch_labels.data(), count,
                     executor.output_shape()[1], static_cast<T*>(nullptr));
    loss_sum += batch.loss;
    evaluation.correct += batch.correct;
    if (sink != nullptr) MASE_RETURN_IF_ERROR(sink(first, executor.output()));
  }
  if (batches > 0) {
    evaluation.loss = loss_sum / static_cast<double>(batches);
    evaluation.accuracy = static_cast<float>(evaluation.correct) / static_cast<float>(rows);
  }
  return evaluation;
}

template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<float>&, const Tensor&, const Tensor&,
                                             int64_t, const OutputSink<float>&);
template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<double>&, const Tensor&, const Tensor&,
                                             int64_t, const OutputSink<double>&);

}  // namespace mase
