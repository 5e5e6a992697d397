#include "mase/format/mx_blocks.h"

#include "absl/strings/str_cat.h"

namespace mase {
namespace {

absl::Status CheckAxis(absl::string_view family, const Shape& shape, int axis) {
  const int rank = std::max(shape.rank(), 1);  // A scalar is a row of one.
  if (axis >= -rank && axis < rank) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(family, ": block_dim ", axis,
                                                 " for a tensor of shape ", shape.ToString(),
                                                 ", allowed ", -rank, " to ", rank - 1));
}

}  // namespace

BlockFormat::Layout AxisLayout(absl::string_view family, int axis, int64_t size) {
  return
      [name = std::string(family), axis, size](const Shape& shape) -> absl::StatusOr<BlockLayout> {
        if (absl::Status status = CheckAxis(name, shape, axis); !status.ok()) return status;
        return BlockLayout::AlongAxis(shape, axis < 0 ? axis + shape.rank() : axis, size);
      };
}

absl::StatusOr<FlattenedBlocks> FlattenedBlocks::Create(absl::string_view family,
                                                        const Shape& shape, int axis,
                                                        int64_t size) {
  if (shape.rank() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(family, " with REFERENCE semantics: a scalar has no block_dim"));
  }
  if (absl::Status status = CheckAxis(family, shape, axis); !status.ok()) return status;
  if (shape.elements() % size != 0) {
    return absl::InvalidArgumentError(absl::StrCat(family, " with REFERENCE semantics: block_size ",
                                                   size, " does not divide the ", shape.elements(),
                                                   " elements of ", shape.ToString()));
  }
  FlattenedBlocks blocks;
  const int position = axis < 0 ? axis + shape.rank() : axis;
  for (int i = 0; i < shape.rank(); ++i) {
    (i < position ? blocks.outer_ : i == position ? blocks.extent_ : blocks.inner_) *= shape[i];
  }
  return blocks;
}

const float* FlattenedBlocks::Gather(const float* src, std::vector<float>* buffer) const {
  if (in_order()) return src;
  buffer->resize(outer_ * extent_ * inner_);
  float* out = buffer->data();
  for (int64_t o = 0; o < outer_; ++o) {
    for (int64_t i = 0; i < inner_; ++i) {
      for (int64_t e = 0; e < extent_; ++e) *out++ = src[(o * extent_ + e) * inner_ + i];
    }
  }
  return buffer->data();
}

void FlattenedBlocks::Scatter(const float* blocked, float* dst) const {
  if (in_order()) {
    if (blocked != dst) std::memcpy(dst, blocked, outer_ * extent_ * sizeof(float));
    return;
  }
  for (int64_t o = 0; o < outer_; ++o) {
    for (int64_t i = 0; i < inner_; ++i) {
      for (int64_t e = 0; e < extent_; ++e) dst[(o * extent_ + e) * inner_ + i] = *blocked++;
    }
  }
}

float ReferenceQuantile(const float* x, int size, double p) {
  std::vector<uint32_t> bits(size);  // Magnitudes: as integers NaNs sort last.
  for (int i = 0; i < size; ++i) bits[i] = Bits(x[i]) & 0x7FFFFFFF;
  std::sort(bits.begin(), bits.end());
  if (bits.back() > 0x7F800000) return FromBits(bits.back());
  const float position = static_cast<float>(p) * static_cast<float>(size - 1);
  const float below = std::floor(position);
  const float weight = position - below;
  const float a = FromBits(bits[static_cast<int>(below)]);
  const float b = FromBits(bits[static_cast<int>(std::ceil(position))]);
  const float difference = b - a;
  return weight < 0.5f ? a + weight * difference : b - difference * (1 - weight);
}

}  // namespace mase
