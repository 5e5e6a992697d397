#include "mase/data/augmentation.h"

#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

Tensor Images(int64_t count, int64_t channels, int64_t height, int64_t width) {
  Tensor images(DType::kFloat32, {count, channels, height, width});
  const auto values = images.mutable_data<float>();
  std::iota(values.begin(), values.end(), 1.0f);
  return images;
}

TEST(ImageAugmentationTest, EveryImageIsAShiftedMaybeMirroredCopy) {
  const ImageAugmentation augmentation = {2, true, {-1, -2}};
  const int64_t kImages = 500, kHeight = 5, kWidth = 7;
  const Tensor before = Images(kImages, 2, kHeight, kWidth);
  Tensor after = before;
  augmentation.Apply(9, after);
  const auto src = before.data<float>();
  const auto dst = after.data<float>();
  const auto matches = [&](int64_t image, int64_t down, int64_t right, bool mirror) {
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t y = 0; y < kHeight; ++y) {
        for (int64_t x = 0; x < kWidth; ++x) {
          const int64_t plane = (image * 2 + c) * kHeight * kWidth;
          const int64_t fy = y + down;
          const int64_t fx = (mirror ? kWidth - 1 - x : x) + right;
          const bool inside = fy >= 0 && fy < kHeight && fx >= 0 && fx < kWidth;
          const float want = inside ? src[plane + fy * kWidth + fx] : augmentation.black[c];
          if (dst[plane + y * kWidth + x] != want) return false;
        }
      }
    }
    return true;
  };
  std::set<std::vector<int64_t>> seen;
  for (int64_t image = 0; image < kImages; ++image) {
    int found = 0;
    for (int64_t down = -2; down <= 2; ++down) {
      for (int64_t right = -2; right <= 2; ++right) {
        for (const bool mirror : {false, true}) {
          if (!matches(image, down, right, mirror)) continue;
          ++found;
          seen.insert({down, right, mirror});
        }
      }
    }
    EXPECT_EQ(found, 1) << image;
  }
  EXPECT_EQ(seen.size(), 50u);  // All shifts, with and without mirror.
}

TEST(ImageAugmentationTest, TheSeedDecides) {
  const ImageAugmentation augmentation = {4, true, {0, 0, 0}};
  const Tensor images = Images(4, 3, 8, 8);
  Tensor first = images, second = images, other = images;
  augmentation.Apply(1, first);
  augmentation.Apply(1, second);
  augmentation.Apply(2, other);
  EXPECT_TRUE(BitEqual(first, second));
  EXPECT_FALSE(BitEqual(first, other));
}

TEST(ImageAugmentationTest, NothingToDoLeavesImagesAlone) {
  Tensor images = Images(10, 1, 3, 3);
  ImageAugmentation{0, false, {0}}.Apply(5, images);
  EXPECT_TRUE(BitEqual(images, Images(10, 1, 3, 3)));
}

}  // namespace
}  // namespace mase
