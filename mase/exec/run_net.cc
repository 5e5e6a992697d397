#include "mase/exec/run_net.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/failing_row.h"

namespace mase {

absl::StatusOr<std::vector<Tensor>> InputsFor(const Graph& graph,
                                              const std::map<std::string, Tensor>& samples) {
  std::vector<Tensor> inputs;
  for (const Node* placeholder : graph.placeholders()) {
    const auto found = samples.find(std::string(placeholder->name()));
    if (found == samples.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the samples have no input '", placeholder->name(), "'"));
    }
    inputs.push_back(found->second);
  }
  return inputs;
}

namespace {

// Of all rows, against what the first batch needs.
template <typename T>
absl::Status CheckInputs(const BasicExecutor<T>& executor, absl::Span<const Tensor> inputs,
                         const RowBatches& batches) {
  if (batches.count() == 0) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const std::vector<Shape> want, executor.InputShapes(batches.begin(1)));
  if (inputs.size() != want.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(inputs.size(), " inputs for a graph that has ", want.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Shape& got = inputs[i].shape();
    const int64_t rows = batches.rows();
    if (got.rank() > 0 && got[0] == rows &&
        got.elements() / rows == want[i].elements() / batches.begin(1)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat("input ", i, " is ", got.ToString(), "; of ",
                                                   batches.begin(1), " of ", rows,
                                                   " rows the net reads ", want[i].ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, Tensor>> NodeValues(
    const Graph& graph, const std::map<std::string, Tensor>& samples,
    absl::Span<const std::string> nodes, int64_t batch_size, ExecutorOptions options) {
  std::vector<std::string> names(nodes.begin(), nodes.end());
  if (names.empty() && graph.output() != nullptr) {
    for (const Value* result : graph.output()->inputs())
      names.push_back(result->producer()->name());
  }
  for (const std::string& name : names) MASE_RETURN_IF_ERROR(graph.LookUpNode(name).status());
  MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples));
  options.taps = names;
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(graph, options));
  const int64_t all = inputs.empty() || inputs[0].shape().rank() == 0 ? 0 : inputs[0].shape()[0];
  const RowBatches batches = RowBatches::OfSize(all, batch_size);
  std::map<std::string, Tensor> values;
  const auto keep = [&](int64_t first, int64_t rows) -> absl::Status {
    for (const std::string& name : names) {
      MASE_ASSIGN_OR_RETURN(Shape shape, executor->NodeShape(name));
      MASE_ASSIGN_OR_RETURN(const absl::Span<const float> part, executor->NodeValue(name));
      const bool by_rows = shape.rank() > 0 && shape[0] == rows;
      if (!by_rows && batches.count() > 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("the first axis of ", name, ", ", shape.ToString(), ", is not the ", rows,
                         " rows of a batch; ask for at most ", batch_size, " rows"));
      }
      if (by_rows) shape.set_dim(0, all);
      if (first == 0) values[name] = Tensor::Zeros(DType::kFloat32, shape);
      const int64_t offset = by_rows ? first * (shape.elements() / std::max<int64_t>(all, 1)) : 0;
      std::copy(part.begin(), part.end(), values[name].mutable_data<float>().data() + offset);
    }
    return absl::OkStatus();
  };
  MASE_RETURN_IF_ERROR(RunNet(*executor, inputs, batches, keep));
  return values;
}

template <typename T>
absl::Status RunNet(BasicExecutor<T>& executor, absl::Span<const Tensor> inputs,
                    const RowBatches& batches,
                    const std::function<absl::Status(int64_t first_row, int64_t rows)>& sink) {
  MASE_RETURN_IF_ERROR(CheckInputs(executor, inputs, batches));
  std::vector<std::vector<T>> converted(inputs.size());  // Of one batch.
  for (int64_t batch = 0; batch < batches.count(); ++batch) {
    const int64_t first = batches.begin(batch), rows = batches.begin(batch + 1) - first;
    std::vector<InputData> pointers;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& input = inputs[i];
      const int64_t row = input.elements() / input.shape()[0];
      if (input.dtype() != DType::kFloat32) {
        pointers.push_back({static_cast<const char*>(input.raw_data()) +
                                first * row * static_cast<int64_t>(ElementSize(input.dtype())),
                            input.dtype()});
        continue;
      }
      const float* data = input.data<float>().data() + first * row;
      if constexpr (std::is_same_v<T, float>) {
        pointers.push_back(data);
      } else {
        converted[i].assign(data, data + rows * row);
        pointers.push_back(converted[i].data());
      }
    }
    const absl::Status ran = executor.Forward(ExecutionMode::kInference, rows, pointers);
    if (!ran.ok()) return AtFailingRow(executor, pointers, first, rows, ran);
    MASE_RETURN_IF_ERROR(sink(first, rows));
  }
  return absl::OkStatus();
}

template absl::Status RunNet(BasicExecutor<float>&, absl::Span<const Tensor>, const RowBatches&,
                             const std::function<absl::Status(int64_t first_row, int64_t rows)>&);
template absl::Status RunNet(BasicExecutor<double>&, absl::Span<const Tensor>, const RowBatches&,
                             const std::function<absl::Status(int64_t first_row, int64_t rows)>&);

}  // namespace mase
