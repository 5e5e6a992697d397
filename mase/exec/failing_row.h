// Which row a Forward failed for. Rows are run many at a time, so what a kernel says is of a batch,
// which the caller of a predictor or a data set's owner knows nothing of.
#ifndef MASE_EXEC_FAILING_ROW_H_
#define MASE_EXEC_FAILING_ROW_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "mase/exec/executor.h"

namespace mase {

// `status` of a Forward in inference of `rows` rows, the first of which is the caller's row
// `first_row`. Where numbers of a row were refused (OutOfRange) it says which, and what the net
// says of that row alone: "row 4321: number 3 is nan: fc1 (linear): ..."; both are counted from 0.
// Rows are run one by one to find it, those with numbers that are not finite first. Other errors,
// what no row has by itself, and what is refused of a row of zeros, too, as it is the net's own
// fault, stay as they are.
template <typename T>
absl::Status AtFailingRow(BasicExecutor<T>& executor, absl::Span<const InputData> inputs,
                          int64_t first_row, int64_t rows, const absl::Status& status);

extern template absl::Status AtFailingRow(BasicExecutor<float>&, absl::Span<const InputData>,
                                          int64_t, int64_t, const absl::Status&);
extern template absl::Status AtFailingRow(BasicExecutor<double>&, absl::Span<const InputData>,
                                          int64_t, int64_t, const absl::Status&);

}  // namespace mase

#endif  // MASE_EXEC_FAILING_ROW_H_
