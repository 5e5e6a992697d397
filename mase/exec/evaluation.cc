#include "mase/exec/evaluation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/dense/softmax_cross_entropy.h"

namespace mase {
namespace {

absl::Status CheckOutput(const Shape& output, int64_t rows, absl::Span<const int64_t> labels) {
  if (output.rank() != 2 || output[0] != rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("the net's output is ", output.ToString(), ", want [", rows, ", classes]"));
  }
  for (int64_t label : labels) {
    if (label < 0 || label >= output[1]) {
      return absl::InvalidArgumentError(absl::StrCat("label ", label, ", but the net has only ",
                                                     output[1], " outputs"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Evaluation> Evaluate(Executor& executor, const Tensor& features,
                                    const Tensor& labels, int64_t batch_size,
                                    const OutputSink& sink) {
  const absl::Span<const int64_t> all_labels = labels.data<int64_t>();
  const int64_t rows = labels.elements();
  const int64_t row_size = rows == 0 ? 0 : features.elements() / rows;
  Evaluation evaluation{.samples = rows};
  double loss_sum = 0;
  int64_t batches = 0;
  for (int64_t first = 0; first < rows; first += batch_size, ++batches) {
    const int64_t count = std::min(batch_size, rows - first);
    const absl::Span<const int64_t> batch_labels = all_labels.subspan(first, count);
    MASE_RETURN_IF_ERROR(executor.Forward(ExecutionMode::kInference, count,
                                          {features.data<float>().data() + first * row_size}));
    MASE_RETURN_IF_ERROR(CheckOutput(executor.output_shape(), count, batch_labels));
    const ClassificationLoss batch =
        SoftmaxCrossEntropy(executor.output().data(), batch_labels.data(), count,
                            executor.output_shape()[1], /*diff_scores=*/nullptr);
    loss_sum += batch.loss;
    evaluation.correct += batch.correct;
    if (sink != nullptr) sink(first, executor.output());
  }
  if (batches > 0) {
    evaluation.loss = loss_sum / static_cast<double>(batches);
    evaluation.accuracy = static_cast<float>(evaluation.correct) / static_cast<float>(rows);
  }
  return evaluation;
}

}  // namespace mase
