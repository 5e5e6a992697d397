#include "mase/exec/evaluation.h"

#include <type_traits>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/run_net.h"
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
  const RowBatches batches = RowBatches::OfSize(labels.elements(), batch_size);
  Evaluation evaluation{.samples = labels.elements()};
  double loss_sum = 0;
  const auto measure = [&](int64_t first, int64_t rows) -> absl::Status {
    const absl::Span<const int64_t> batch_labels = all_labels.subspan(first, rows);
    MASE_RETURN_IF_ERROR(CheckOutput(executor.output_shape(), rows, batch_labels));
    const ClassificationLoss batch =
        CrossEntropy(executor.output().data(), batch_labels.data(), rows,
                     executor.output_shape()[1], static_cast<T*>(nullptr));
    loss_sum += batch.loss;
    evaluation.correct += batch.correct;
    return sink == nullptr ? absl::OkStatus() : sink(first, executor.output());
  };
  MASE_RETURN_IF_ERROR(RunNet(executor, {features}, batches, measure));
  if (batches.count() > 0) {
    evaluation.loss = loss_sum / static_cast<double>(batches.count());
    evaluation.accuracy =
        static_cast<float>(evaluation.correct) / static_cast<float>(evaluation.samples);
  }
  return evaluation;
}

template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<float>&, const Tensor&, const Tensor&,
                                             int64_t, const OutputSink<float>&);
template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<double>&, const Tensor&, const Tensor&,
                                             int64_t, const OutputSink<double>&);

}  // namespace mase
