// Splits of images that are kept as bytes.
#ifndef MASE_DATA_IMAGE_SPLIT_H_
#define MASE_DATA_IMAGE_SPLIT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Images as they are read: uint8 [images, channels, height, width] and int64 [images].
struct RawImages {
  Tensor pixels;
  Tensor labels;
};

// Per channel: a pixel p becomes (p / divisor - mean) / deviation, each step in float32.
struct PixelScale {
  float divisor;
  std::vector<float> mean;
  std::vector<float> deviation;

  float operator()(int64_t channel, float pixel) const {
    return (pixel / divisor - mean[channel]) / deviation[channel];
  }
};

// A split whose raw images, with labels below `classes`, `read` takes from `files`, by way of the
// cache (data_cache.h), whose recipe is `recipe`.
Dataset::Loader ImageLoader(std::vector<std::string> files, std::string recipe, int64_t classes,
                            std::function<absl::StatusOr<RawImages>()> read, PixelScale scale,
                            std::shared_ptr<Notes> notes);

}  // namespace mase

#endif  // MASE_DATA_IMAGE_SPLIT_H_
