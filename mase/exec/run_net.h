// The one way to run a net over samples: in inference, batch by batch. Evaluation, calibration and
// passes that measure all run theirs here; what they want of each batch they read from the
// executor: results, and with ExecutorOptions::taps chosen activations.
//
//   MASE_ASSIGN_OR_RETURN(auto executor, Executor::Create(graph, {.taps = {"fc1"}}));
//   MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples));
//   MASE_RETURN_IF_ERROR(RunNet(*executor, inputs, RowBatches::Equal(rows, 4),
//                               [&](int64_t first_row, int64_t rows) -> absl::Status {
//                                 ... executor->output(), executor->NodeValue("fc1") ...
//                               }));
#ifndef MASE_EXEC_RUN_NET_H_
#define MASE_EXEC_RUN_NET_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Rows cut into batches one after the other, none empty.
class RowBatches {
 public:
  // Of `size` >= 1 rows each, the last of what is left.
  static RowBatches OfSize(int64_t rows, int64_t size) {
    return RowBatches(rows, (rows + size - 1) / size, size);
  }
  // At most `count` >= 1, of nearly equal sizes.
  static RowBatches Equal(int64_t rows, int64_t count) {
    return RowBatches(rows, std::min(rows, count), 0);
  }

  int64_t rows() const { return rows_; }
  int64_t count() const { return count_; }
  // The first row of a batch; of the one behind the last, the number of rows.
  int64_t begin(int64_t batch) const {
    return size_ > 0 ? std::min(rows_, batch * size_) : count_ == 0 ? 0 : rows_ * batch / count_;
  }

 private:
  RowBatches(int64_t rows, int64_t count, int64_t size) : rows_(rows), count_(count), size_(size) {}

  int64_t rows_, count_, size_;
};

// The samples in the order of the graph's placeholders. InvalidArgument naming the placeholder
// that has none.
absl::StatusOr<std::vector<Tensor>> InputsFor(const Graph& graph,
                                              const std::map<std::string, Tensor>& samples);

// What the net computes of samples, `batch_size` rows at a time: the first result of each of
// `nodes`, [rows, ...] by node name; of no nodes, that of the nodes whose results are the net's.
// NotFound for a node that the graph has not; InvalidArgument for one whose first axis is not the
// rows, if there are several batches; else as RunNet below. Of `options` the taps are set here.
absl::StatusOr<std::map<std::string, Tensor>> NodeValues(
    const Graph& graph, const std::map<std::string, Tensor>& samples,
    absl::Span<const std::string> nodes, int64_t batch_size, ExecutorOptions options = {});

// Runs all batches; inputs[i], [rows, ...], are the samples of placeholder i. Calls `sink` after
// each batch with its first row and how many it has. What is float32 is converted where T is
// double. Errors are those of Forward, with the row (failing_row.h), or the sink's, which ends the
// run; InvalidArgument, before
// the first batch, for another number of inputs than the net has, and for one that has not as many
// rows as `batches`, or rows of another size than its placeholder.
template <typename T>
absl::Status RunNet(BasicExecutor<T>& executor, absl::Span<const Tensor> inputs,
                    const RowBatches& batches,
                    const std::function<absl::Status(int64_t first_row, int64_t rows)>& sink);

extern template absl::Status RunNet(
    BasicExecutor<float>&, absl::Span<const Tensor>, const RowBatches&,
    const std::function<absl::Status(int64_t first_row, int64_t rows)>&);
extern template absl::Status RunNet(
    BasicExecutor<double>&, absl::Span<const Tensor>, const RowBatches&,
    const std::function<absl::Status(int64_t first_row, int64_t rows)>&);

}  // namespace mase

#endif  // MASE_EXEC_RUN_NET_H_
