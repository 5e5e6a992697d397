// Convolutions of few results: images one at a time, for which oneDNN, made for batches, takes up
// to twice as long.
#ifndef MASE_KERNEL_CONV_TILES_H_
#define MASE_KERNEL_CONV_TILES_H_

#include "mase/kernel/kernel.h"

namespace mase {

// Whether MakeTiledConv takes the convolution, and is the fastest: inference with AVX-512.
bool PrefersTiles(const KernelSpec& spec);

// Tiles of 6 positions by 64 channels in registers, as those of integer products
// (kernel/integer/tile.h), with channels that are last. float32; takes "conv_batch_norm" too.
KernelOr MakeTiledConv(const KernelSpec& spec);

}  // namespace mase

#endif  // MASE_KERNEL_CONV_TILES_H_
