// Which elements of a tensor share a block: an N-dimensional tiling of its shape. Blocks at the
// end of an axis are smaller where the block does not divide it.
#ifndef MASE_FORMAT_BLOCK_LAYOUT_H_
#define MASE_FORMAT_BLOCK_LAYOUT_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "mase/tensor/shape.h"

namespace mase {

class BlockLayout {
 public:
  using Extents = absl::InlinedVector<int64_t, 4>;

  // `block` has an extent per axis of `shape`; -1 and what is larger than the axis mean the whole
  // axis. Axes that no block boundary separates are merged, so that most layouts end as runs.
  BlockLayout(const Shape& shape, absl::Span<const int64_t> block);

  // MASE's rule: `block_size` belongs to the last axes. In front of them EXACT has blocks of
  // extent 1, `whole_leading_axes` (REFERENCE) whole axes. With `skip_first_dim` every index of
  // axis 0 has blocks of its own, except in a vector.
  static BlockLayout Mase(const Shape& shape, absl::Span<const int32_t> block_size,
                          bool skip_first_dim, bool whole_leading_axes);

  // Runs of `size` elements along `axis` (0 <= axis < rank, or any for a scalar).
  static BlockLayout AlongAxis(const Shape& shape, int axis, int64_t size);

  int64_t blocks() const { return bands_ * columns_; }

  // A band: the rows (runs along the innermost merged axis) that the same blocks cut into
  // columns. Block j of the band holds elements [j * column_extent(), ...) of each of its rows.
  int64_t columns() const { return columns_; }  // Blocks of a band.
  int64_t column_extent() const { return block_.back(); }
  int64_t row_extent() const { return dims_.back(); }

  // Calls fn(first_block, row_offsets) for every band, in row-major order of blocks.
  template <typename Fn>
  void ForEachBand(const Fn& fn) const {
    std::vector<int64_t> rows;
    for (int64_t band = 0; band < bands_; ++band) {
      RowsOf(band, &rows);
      fn(band * columns_, absl::Span<const int64_t>(rows));
    }
  }

  // Calls fn(block, offset, count) for every contiguous run of every block; the runs of a block
  // follow each other.
  template <typename Fn>
  void ForEachRun(const Fn& fn) const {
    ForEachBand([&](int64_t first_block, absl::Span<const int64_t> rows) {
      for (int64_t column = 0; column < columns_; ++column) {
        const int64_t begin = column * column_extent();
        const int64_t count = std::min(column_extent(), row_extent() - begin);
        for (int64_t row : rows) fn(first_block + column, row + begin, count);
      }
    });
  }

 private:
  void RowsOf(int64_t band, std::vector<int64_t>* rows) const;

  Extents dims_, block_;  // Merged; the last axis is that of rows. Never empty.
  int64_t columns_ = 1;
  int64_t bands_ = 1;
};

}  // namespace mase

#endif  // MASE_FORMAT_BLOCK_LAYOUT_H_
