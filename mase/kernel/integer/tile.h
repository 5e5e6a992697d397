// The inner loop of integer products, for each instruction set: a tile of sums
//
//   sums[r][c] = sum over taps t and depth k of a[t][r][k] * b[t][k][c]
//
// of a few rows by up to 64 columns, in int32 registers. Rows are pointers, one for each tap, so
// that a convolution needs no copy of its windows: a tap is a position of its kernel, and a row
// points to the channels of a pixel, or to zeros. A linear layer has one tap. Taps that are padding
// for all rows of a tile are left out.
//
//   bits    one or two bits by -1, 0 and 1, 32 at a time
//                                                  vpopcntd, where the machine has VPOPCNTDQ
//   bytes   uint8 by int8, four at a time          vpdpbusd, where the machine has VNNI
//   words   int16 by int16, two at a time          pmaddwd in SSE2, AVX2, AVX-512
//
// Of bits, a is planes of 32 elements in turn, b a word of signs (1 for 1) and one that tells what
// is not 0. A sum is then less by what its column has of ones, (2^planes - 1) times, which its
// offset gives back:
//
//   sum over k of a[k] * b[k] = (2^planes - 1) * ones - sum over p of 2^p * popcount((a_p ^ s) & m)
//
// Neither saturates: a sum is exact modulo 2^32, in any order, so all give the same bits wherever
// the true sum fits an int32 (which the kernels see to). The instruction for bytes of CPUs without
// VNNI (pmaddubsw) saturates at 16 bits, so there bytes are widened to words first.
#ifndef MASE_KERNEL_INTEGER_TILE_H_
#define MASE_KERNEL_INTEGER_TILE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace mase {

struct Rounder;  // epilogue.h

enum class IntegerIsa { kSse2, kAvx2, kAvx512, kVnni, kPopcount };

// What the kernels use: the best of this machine, below CurrentIsa() (base/isa.h). kPopcount goes
// with kVnni, for products of bits alone.
IntegerIsa CurrentIntegerIsa();
absl::string_view IntegerIsaName(IntegerIsa isa);  // "AVX-512 VNNI"
// Leaves VNNI or VPOPCNTDQ out, or not, for a test; false if the machine has none to use.
bool SetVnniForTest(bool used);
bool SetPopcountForTest(bool used);

// What both factors fit, from narrow to wide.
enum class Factors : uint8_t { kOneBit, kTwoBits, kBytes, kWords };

inline constexpr int64_t kTileLanes = 16;  // Columns come in vectors of this many.

// What a whole tile's sums become where that is no more than a scale, a norm and a rounding:
// float32, or bytes where there is a rounder.
struct TileResult {
  const float *scale, *shift;  // Of each column.
  const float* norm;           // Of each column, what it subtracts; or null.
  int64_t norm_stride;     // From there to what it multiplies with, and from that to what it adds.
  const Rounder* rounder;  // Simple, or null.
  char* dst;               // The first row's first column; the next row lies `stride` bytes on.
  int64_t stride;
};

// Taps one behind the other, whose rows lie so, too: one sum over all of their depth.
struct TapRun {
  uint16_t first, count;
};

struct Tile {
  int rows;
  int vectors;           // Of columns.
  const void* const* a;  // [taps][a_stride]: the rows' first elements, bytes or words.
  int64_t a_stride;
  const TapRun* runs;  // The taps that are computed, in order, in `run_count` runs.
  int64_t run_count;
  int64_t steps;  // Of depth in a tap: four bytes, two words or 32 bits each.
  // Packed: [taps][steps][vectors][16 columns][4 or 2 elements]; of bits
  // [taps][steps][signs, mask][vectors][16 columns].
  const void* b;
  // Of each tap, the steps that are computed; all of them where taps come in runs.
  int64_t begin_step, end_step;
  // [vectors * 16], what the sums of each column start from; null where they go on from `sums`.
  const int32_t* offset;
  int32_t* sums;  // [rows][vectors * 16]
  // Null, or, of a whole tile whose loop `finishes`, where its results go instead of `sums`.
  const TileResult* result;
};

// The largest tiles of an instruction set, and its loop.
struct TileLoop {
  IntegerIsa isa;
  Factors reads;
  int rows;
  int vectors;
  bool finishes;  // Whole tiles: Tile::result.
  void (*run)(const Tile& tile);

  int planes() const { return reads == Factors::kTwoBits ? 2 : 1; }
  bool bits() const { return reads == Factors::kOneBit || reads == Factors::kTwoBits; }
  // Elements of a step, and its bytes of a row of a and of a column of b.
  int depth_step() const { return bits() ? 32 : reads == Factors::kBytes ? 4 : 2; }
  int a_step_bytes() const { return 4 * planes(); }
  int b_step_bytes() const { return bits() ? 8 : 4; }
};

// The loop for factors that are these, or narrower.
const TileLoop& ChooseTileLoop(IntegerIsa isa, Factors factors);

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_TILE_H_
