// Random changes to training images, so that a network does not learn them by heart.
#ifndef MASE_DATA_AUGMENTATION_H_
#define MASE_DATA_AUGMENTATION_H_

#include <cstdint>
#include <vector>

#include "mase/tensor/tensor.h"

namespace mase {

// MASE's recipe for CIFAR without RandAugment and random erasing: pad, crop back to size at a
// random place, mirror every other image.
struct ImageAugmentation {
  int64_t padding = 4;       // Black pixels added on each side before cropping.
  bool flip = true;          // Mirror left and right with probability 1/2.
  std::vector<float> black;  // Per channel: what a black pixel is in the features.

  // Changes `batch`, float32 [images, channels, height, width], in place. Each image draws three
  // numbers from a TorchGenerator(seed): row and column of the crop in 0..2*padding, and the
  // mirror. So the result depends on the seed and the batch alone; give every batch of a run a
  // seed of its own.
  void Apply(uint64_t seed, Tensor& batch) const;
};

}  // namespace mase

#endif  // MASE_DATA_AUGMENTATION_H_
