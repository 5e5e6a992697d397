// The inner loop of convolutions of each channel by itself, for each instruction set: the sums of
// one position, with channels in the lanes of registers,
//
//   sums[c] = offset[c] + sum over taps t of pixel[t][c] * weight[t][c]
//
// modulo 2^32. A lane is a step of tile.h that holds one element: a byte without sign by a byte,
// or a word by a word, and zeros.
#ifndef MASE_KERNEL_INTEGER_DEPTHWISE_LOOP_H_
#define MASE_KERNEL_INTEGER_DEPTHWISE_LOOP_H_

#include <cstdint>

#include "mase/kernel/integer/tile.h"

namespace mase {

struct DepthwiseRow {
  const void* const* pixels;  // Of each tap, the codes of a pixel's channels, or of padding.
  const void* end;            // Of the memory in which the pixels lie.
  int64_t taps;
  const int32_t* weight;  // [taps][stride], as DepthwiseLoop::Lane makes them; 0 behind the last.
  int64_t stride;         // Channels, up to a multiple of kTileLanes.
  int64_t channels;
  const int32_t* offset;  // [stride]
  int32_t* sums;          // [stride]
};

struct DepthwiseLoop {
  IntegerIsa isa;
  Factors reads;  // kBytes or kWords.
  // Of pixels of uint8, and of int32 that fit 16 bits with sign; null where that does not exist.
  void (*run_bytes)(const DepthwiseRow& row);
  void (*run_words)(const DepthwiseRow& row);

  // A weight, which `reads` holds, as a lane.
  int32_t Lane(int32_t weight) const { return weight & (reads == Factors::kBytes ? 0xff : 0xffff); }
};

// The loop for pixels and weights that are these, or narrower.
const DepthwiseLoop& ChooseDepthwiseLoop(IntegerIsa isa, Factors factors);

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_DEPTHWISE_LOOP_H_
