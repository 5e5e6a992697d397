// Measures loss and accuracy of a classifier on labelled samples, as MASE reports them.
#ifndef MASE_EXEC_EVALUATION_H_
#define MASE_EXEC_EVALUATION_H_

#include <cstdint>
#include <functional>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/exec/executor.h"
#include "mase/metric/evaluation.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Receives the net's raw outputs batch by batch: the first sample's row and [rows, classes]. An
// error ends the evaluation with it.
template <typename T>
using OutputSink = std::function<absl::Status(int64_t first_row, absl::Span<const T> outputs)>;

// Runs `executor` in inference mode over all rows, `batch_size` at a time. The net has one
// input, of which `features`, float32 [rows, ...], are samples; `labels` are int64 [rows].
// InvalidArgument if the net's output is not [rows, classes] with every label below `classes`;
// else Executor::Forward's errors, or the sink's.
template <typename T>
absl::StatusOr<Evaluation> Evaluate(BasicExecutor<T>& executor, const Tensor& features,
                                    const Tensor& labels, int64_t batch_size,
                                    const std::type_identity_t<OutputSink<T>>& sink = nullptr);

extern template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<float>&, const Tensor&,
                                                    const Tensor&, int64_t,
                                                    const OutputSink<float>&);
extern template absl::StatusOr<Evaluation> Evaluate(BasicExecutor<double>&, const Tensor&,
                                                    const Tensor&, int64_t,
                                                    const OutputSink<double>&);

}  // namespace mase

#endif  // MASE_EXEC_EVALUATION_H_
