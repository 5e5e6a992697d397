#include "mase/format/reference_block_format.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace mase {

uint32_t SmallestNonZeroMaximum(const BlockLayout& layout, const float* src) {
  constexpr uint32_t kInfinityBits = 0x7F800000;
  uint32_t smallest = UINT32_MAX, largest = 0;
  ForEachChunk(layout, src, [&](int64_t, int64_t blocks, const uint32_t* maxima, const auto&) {
    for (int64_t j = 0; j < blocks; ++j) {
      if (maxima[j] != 0) smallest = std::min(smallest, maxima[j]);
      largest = std::max(largest, maxima[j]);
    }
  });
  if (largest > kInfinityBits) return largest;
  return largest == 0 ? Bits(1.0f) : smallest;
}

absl::StatusOr<BlockLayout> ReferenceBlocks(absl::string_view family, const Shape& shape,
                                            absl::Span<const int32_t> block_size,
                                            bool skip_first_dim) {
  const int rank = shape.rank();
  const bool served = rank == 2 || (rank == 1 && !skip_first_dim) || (rank == 3 && skip_first_dim);
  if (!served) {
    return absl::InvalidArgumentError(
        absl::StrCat(family, " with REFERENCE semantics: a tensor of shape ", shape.ToString(),
                     " with skip_first_dim ", skip_first_dim ? "true" : "false",
                     "; MASE takes rank 1 without it, 2, and 3 with it"));
  }
  return BlockLayout::Mase(shape, block_size, skip_first_dim, /*whole_leading_axes=*/true);
}

absl::StatusOr<BlockFormat::Layout> MaseLayout(absl::string_view family, const FormatProto& proto,
                                               absl::Span<const int32_t> block_size,
                                               bool skip_first_dim) {
  std::vector<int32_t> sizes(block_size.begin(), block_size.end());
  for (int32_t size : sizes) {
    if (size != -1 && size < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(family, ": block_size ", size, ", allowed -1 or 1 and more"));
    }
  }
  if (proto.semantics() == FormatProto::REFERENCE) {
    return BlockFormat::Layout([=, name = std::string(family)](const Shape& shape) {
      return ReferenceBlocks(name, shape, sizes, skip_first_dim);
    });
  }
  return BlockFormat::Layout([=](const Shape& shape) -> absl::StatusOr<BlockLayout> {
    return BlockLayout::Mase(shape, sizes, skip_first_dim, /*whole_leading_axes=*/false);
  });
}

}  // namespace mase
