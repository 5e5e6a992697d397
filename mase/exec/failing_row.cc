#include "mase/exec/failing_row.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status.h"

namespace mase {
namespace {

// Rows of the inputs of a batch.
class BatchRows {
 public:
  // `shapes` are those of one row.
  BatchRows(absl::Span<const InputData> inputs, const std::vector<Shape>& shapes)
      : inputs_(inputs), one_(inputs.begin(), inputs.end()) {
    for (const Shape& shape : shapes) numbers_.push_back(shape.elements());
  }

  absl::Span<const InputData> Row(int64_t row) {
    for (size_t i = 0; i < inputs_.size(); ++i) one_[i].data = At(i, row);
    return one_;
  }

  // A row of zeros of each input.
  absl::Span<const InputData> Zeros() {
    zeros_.resize(inputs_.size());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      zeros_[i].resize(static_cast<size_t>(numbers_[i]) * ElementSize(inputs_[i].dtype));
      one_[i].data = zeros_[i].data();
    }
    return one_;
  }

  // "number 3 is nan" of the first that is not finite; "" where all are.
  std::string NotFinite(int64_t row) const {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const int64_t at = inputs_[i].dtype == DType::kFloat32   ? Find<float>(i, row)
                         : inputs_[i].dtype == DType::kFloat64 ? Find<double>(i, row)
                                                               : -1;
      if (at < 0) continue;
      return absl::StrCat(inputs_.size() == 1 ? "" : absl::StrCat("input ", i, ", "), "number ", at,
                          " is ", Value(i, row, at));
    }
    return "";
  }

 private:
  const void* At(size_t input, int64_t row) const {
    const int64_t bytes =
        row * numbers_[input] * static_cast<int64_t>(ElementSize(inputs_[input].dtype));
    return static_cast<const char*>(inputs_[input].data) + bytes;
  }
  template <typename T>
  int64_t Find(size_t input, int64_t row) const {
    const T* numbers = static_cast<const T*>(At(input, row));
    for (int64_t i = 0; i < numbers_[input]; ++i) {
      if (!std::isfinite(numbers[i])) return i;
    }
    return -1;
  }
  double Value(size_t input, int64_t row, int64_t at) const {
    const void* numbers = At(input, row);
    return inputs_[input].dtype == DType::kFloat32
               ? static_cast<double>(static_cast<const float*>(numbers)[at])
               : static_cast<const double*>(numbers)[at];
  }

  const absl::Span<const InputData> inputs_;
  std::vector<InputData> one_;
  std::vector<int64_t> numbers_;  // Of a row of each input.
  std::vector<std::vector<char>> zeros_;
};

}  // namespace

template <typename T>
absl::Status AtFailingRow(BasicExecutor<T>& executor, absl::Span<const InputData> inputs,
                          int64_t first_row, int64_t rows, const absl::Status& status) {
  const auto shapes = executor.InputShapes(1);
  if (!absl::IsOutOfRange(status) || !shapes.ok() || shapes->size() != inputs.size()) return status;
  BatchRows batch(inputs, *shapes);
  if (!executor.Forward(ExecutionMode::kInference, 1, batch.Zeros()).ok()) return status;
  for (const bool finite : {false, true}) {
    for (int64_t row = 0; row < rows; ++row) {
      const std::string number = batch.NotFinite(row);
      if (number.empty() != finite) continue;
      const absl::Status of_row = executor.Forward(ExecutionMode::kInference, 1, batch.Row(row));
      if (of_row.ok()) continue;
      if (!absl::IsOutOfRange(of_row)) return absl::IsCancelled(of_row) ? of_row : status;
      return Annotate(of_row, absl::StrCat("row ", first_row + row, finite ? "" : ": ", number));
    }
  }
  return status;
}

template absl::Status AtFailingRow(BasicExecutor<float>&, absl::Span<const InputData>, int64_t,
                                   int64_t, const absl::Status&);
template absl::Status AtFailingRow(BasicExecutor<double>&, absl::Span<const InputData>, int64_t,
                                   int64_t, const absl::Status&);

}  // namespace mase
