// Tables whose features and labels are arrays of their own, as .npz and HDF5 files have them.
#ifndef MASE_DATA_ARRAYS_H_
#define MASE_DATA_ARRAYS_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/labels.h"
#include "mase/data/table.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Which of a file's arrays to take.
struct ArrayChoice {
  std::string features;
  std::string labels;  // Empty: none, where that is allowed.
  LabelChoice label_choice = LabelChoice::kKnownName;
  std::vector<std::string> columns;  // Of the features, by number; empty: all.
};

// Features: the only name in wanted.features, if it is one of `names`, else "x", "features" or
// "data". Labels: wanted.label, else "y", "label", "labels", "target" or "targets". Whatever their
// case. InvalidArgument, listing `names`, if there is no such array. Messages are without the path.
absl::StatusOr<ArrayChoice> ChooseArrays(absl::Span<const std::string> names,
                                         const TableColumns& wanted);

// Sets the features of `table` from numbers [rows, ...] or [rows], and their names, unless it has
// them, to 0, 1, 2, ...; then keeps those of `choice.columns` alone if there are any. Notes what
// float32 rounds.
absl::Status SetFeatures(absl::string_view path, const ArrayChoice& choice, const Tensor& array,
                         DataTable& table);

// Labels of one dimension, or of two of which the second is 1: numbers or texts, one class each.
// Numbers [rows, classes]: one-hot.
using LabelArray = std::variant<Tensor, std::vector<std::string>>;
absl::Status SetLabels(absl::string_view path, const ArrayChoice& choice, const Shape& shape,
                       const LabelArray& labels, DataTable& table);

}  // namespace mase

#endif  // MASE_DATA_ARRAYS_H_
