#include "mase/data/augmentation.h"

#include <algorithm>

#include "glog/logging.h"
#include "mase/base/random.h"

namespace mase {
namespace {

// Moves a plane's content so that pixel (y, x) becomes what was at (y + down, x + right), then
// mirrors it. What comes from outside is `black`.
void MoveAndMirror(float* plane, int64_t height, int64_t width, int64_t down, int64_t right,
                   bool mirror, float black, std::vector<float>& scratch) {
  scratch.assign(plane, plane + height * width);
  for (int64_t y = 0; y < height; ++y) {
    float* dst = plane + y * width;
    const int64_t from = y + down;
    if (from < 0 || from >= height) {
      std::fill(dst, dst + width, black);
      continue;
    }
    const float* src = scratch.data() + from * width;
    for (int64_t x = 0; x < width; ++x) {
      const int64_t at = (mirror ? width - 1 - x : x) + right;
      dst[x] = at >= 0 && at < width ? src[at] : black;
    }
  }
}

}  // namespace

void ImageAugmentation::Apply(uint64_t seed, Tensor& batch) const {
  CHECK_EQ(batch.shape().rank(), 4);
  const int64_t channels = batch.shape()[1];
  const int64_t height = batch.shape()[2];
  const int64_t width = batch.shape()[3];
  CHECK_EQ(channels, static_cast<int64_t>(black.size()));
  TorchGenerator generator(seed);
  std::vector<float> scratch;
  float* plane = batch.mutable_data<float>().data();
  for (int64_t i = 0; i < batch.shape()[0]; ++i) {
    const int64_t down = generator.Int63() % (2 * padding + 1) - padding;
    const int64_t right = generator.Int63() % (2 * padding + 1) - padding;
    const bool mirror = generator.Int63() % 2 == 1 && flip;
    for (int64_t c = 0; c < channels; ++c, plane += height * width) {
      MoveAndMirror(plane, height, width, down, right, mirror, black[c], scratch);
    }
  }
}

}  // namespace mase
