// How a product of rows by columns is shared among threads, where it is computed in tiles of whole
// sums: any cut gives the same bits, so the number of threads may decide it.
#ifndef MASE_KERNEL_TILE_PARTS_H_
#define MASE_KERNEL_TILE_PARTS_H_

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "mase/base/parallel.h"

namespace mase {

// Rows, and blocks of columns.
struct TilePart {
  int64_t begin, end;
  int64_t begin_block, end_block;
};

// Calls body(part) for parts of `rows` rows by `blocks` blocks of columns, one for each thread that
// the `macs` multiplications are worth. Tiles have `tile_rows` rows; rows are cut at multiples of
// `unit`, which is whole tiles or more. Where rows are few, columns are cut: each thread then reads
// its own weights.
template <typename Body>
void ForTileParts(int64_t rows, int64_t tile_rows, int64_t unit, int64_t blocks, int64_t macs,
                  const Body& body) {
  constexpr int64_t kThreadMacs = 1 << 20, kRowTiles = 8;
  const int64_t units = (rows + unit - 1) / unit;
  const int64_t threads = std::clamp<int64_t>(macs / kThreadMacs, 1, omp_get_max_threads());
  const int64_t row_parts = std::clamp<int64_t>(rows / (kRowTiles * tile_rows), 1,
                                                std::clamp<int64_t>(units, 1, threads));
  const int64_t col_parts =
      std::clamp<int64_t>(threads / row_parts, 1, std::max<int64_t>(blocks, 1));
  const int64_t parts = row_parts * col_parts;
  ForChunks(parts, parts, [&](int64_t part, int64_t, int64_t) {
    const int64_t row = part / col_parts, col = part % col_parts;
    body(TilePart{units * row / row_parts * unit,
                  std::min(units * (row + 1) / row_parts * unit, rows), blocks * col / col_parts,
                  blocks * (col + 1) / col_parts});
  });
}

}  // namespace mase

#endif  // MASE_KERNEL_TILE_PARTS_H_
