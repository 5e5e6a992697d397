// Which rows a net was trained on, in a few kilobytes: the ids of some of them, chosen so that the
// overlap with any other rows can be told.
//
//   RowSketch sketch = RowSketch::Of(train.row_ids.data<int64_t>());
//   RowSketch::Overlap overlap = sketch.Find(test.row_ids.data<int64_t>());
//   if (overlap.rows > 0) ...
//
// An id is a hash of a row's content. A sketch keeps the 512 smallest ids (a KMV sketch: Bar-Yossef
// et al., "Counting Distinct Elements in a Data Stream", 2002). Sets of fewer distinct rows are
// kept whole, and then the overlap is exact. Of larger ones the ids up to the largest kept are a
// sample, drawn by content alone: of the other rows with such ids, the share that is kept here is
// an estimate of the share of all that overlap.
#ifndef MASE_DATA_ROW_SKETCH_H_
#define MASE_DATA_ROW_SKETCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/tensor/tensor.h"

namespace mase {

// A hash of `count` values and a label. -0 is 0. Not for hostile rows: who wants equal ids can make
// them.
uint64_t RowId(const float* values, int64_t count, int64_t label);

// The ids of rows: int64 [rows], of the bits of RowId. `features` are float32 or uint8 [rows, ...]
// (bytes count as the numbers that they are), `labels` int64 [rows], or [0] where there are none.
Tensor RowIds(const Tensor& features, const Tensor& labels);

class RowSketch {
 public:
  static constexpr int64_t kSize = 512;

  // Of no rows.
  RowSketch() = default;
  static RowSketch Of(absl::Span<const int64_t> row_ids);

  // Becomes the sketch of both sets of rows together.
  void Merge(const RowSketch& other);

  struct Overlap {
    int64_t rows = 0;            // How many of the rows asked about are in the sketched set.
    bool exact = true;           // Else an estimate.
    std::vector<int64_t> found;  // The first few that surely are, by their place. Not empty if
                                 // `rows` is above 0.
  };
  Overlap Find(absl::Span<const int64_t> row_ids) const;

  // True if the sketched set is empty, or nothing is known of it.
  bool empty() const { return ids_.empty(); }
  bool operator==(const RowSketch& other) const { return ids_ == other.ids_; }

  // As text of about 5.5 kB at most: base64 of the ids, 8 bytes each, little-endian, ascending.
  // Read returns DataLoss for any other text.
  std::string Text() const;
  static absl::StatusOr<RowSketch> Read(absl::string_view text);

 private:
  std::vector<uint64_t> ids_;  // Ascending, distinct, at most kSize.
};

}  // namespace mase

#endif  // MASE_DATA_ROW_SKETCH_H_
