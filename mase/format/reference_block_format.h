// REFERENCE semantics of block formats: MASE's arithmetic on MASE's blocks.
#ifndef MASE_FORMAT_REFERENCE_BLOCK_FORMAT_H_
#define MASE_FORMAT_REFERENCE_BLOCK_FORMAT_H_

#include <memory>
#include <utility>

#include "mase/base/status_macros.h"
#include "mase/format/block_format.h"
#include "mase/format/reference_ops.h"

namespace mase {

// What a block of zeros takes for its maximum.
enum class ZeroBlocks {
  kStay,    // 0.
  kBorrow,  // The smallest non-zero maximum of the tensor, 1 if there is none.
};

// The smallest maximum that is not 0, as bits: those of 1 if all are 0, a NaN if any is one.
uint32_t SmallestNonZeroMaximum(const BlockLayout& layout, const float* src);

// Quantizes block by block: `params_of` maps the bits of a block's maximum to BlockParams, `op` an
// element and those to its value.
template <typename ParamsOf, typename Op>
void QuantizeReferenceBlocks(const BlockLayout& layout, ZeroBlocks zero_blocks,
                             const ParamsOf& params_of, const Op& op, const float* src,
                             float* dst) {
  const uint32_t lent =
      zero_blocks == ZeroBlocks::kBorrow ? SmallestNonZeroMaximum(layout, src) : 0;
  BlockParams params[kBlocksPerChunk];
  ForEachChunk(
      layout, src, [&](int64_t, int64_t blocks, const uint32_t* maxima, const auto& for_runs) {
        for (int64_t j = 0; j < blocks; ++j) {
          params[j] = params_of(maxima[j] == 0 ? lent : maxima[j]);
        }
        for_runs([&](int64_t offset, int64_t count) {
          ApplyBlocks(op, params, src + offset, dst + offset, count, layout.column_extent());
        });
      });
}

// A family whose blocks a BlockLayout describes; `OpFor` maps a shape to the operator.
template <typename ParamsOf, typename OpFor>
class ReferenceBlockFormat : public BlockFormat {
 public:
  ReferenceBlockFormat(const FormatProto& proto, const Grid& unit, const BlockRule& rule,
                       Layout layout, ZeroBlocks zero_blocks, const ParamsOf& params_of,
                       const OpFor& op_for)
      : BlockFormat(proto, unit, rule, std::move(layout)),
        zero_blocks_(zero_blocks),
        params_of_(params_of),
        op_for_(op_for) {}

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    MASE_ASSIGN_OR_RETURN(const BlockLayout layout, LayoutOf(shape));
    QuantizeReferenceBlocks(layout, zero_blocks_, params_of_, op_for_(shape), src, dst);
    return absl::OkStatus();
  }

 private:
  const ZeroBlocks zero_blocks_;
  const ParamsOf params_of_;
  const OpFor op_for_;
};

template <typename ParamsOf, typename OpFor>
std::unique_ptr<const Format> MakeReferenceBlockFormat(
    const FormatProto& proto, const Grid& unit, const BlockRule& rule, BlockFormat::Layout layout,
    ZeroBlocks zero_blocks, const ParamsOf& params_of, const OpFor& op_for) {
  return std::make_unique<ReferenceBlockFormat<ParamsOf, OpFor>>(
      proto, unit, rule, std::move(layout), zero_blocks, params_of, op_for);
}

// MASE's blocks for block_fp, block_minifloat and block_log; InvalidArgument for the ranks that
// MASE refuses.
absl::StatusOr<BlockLayout> ReferenceBlocks(absl::string_view family, const Shape& shape,
                                            absl::Span<const int32_t> block_size,
                                            bool skip_first_dim);

// What is added to every value: +0 where MASE's unfolding of the blocks of a tensor turns -0 into
// +0, else -0, which changes nothing.
inline float ZeroTerm(const Shape& shape, bool skip_first_dim) {
  return (shape.rank() == 2 && !skip_first_dim) || shape.rank() == 3 ? 0.0f : -0.0f;
}

// The layout function of a family with block_size and skip_first_dim; InvalidArgument naming an
// extent that is neither -1 nor positive.
absl::StatusOr<BlockFormat::Layout> MaseLayout(absl::string_view family, const FormatProto& proto,
                                               absl::Span<const int32_t> block_size,
                                               bool skip_first_dim);

}  // namespace mase

#endif  // MASE_FORMAT_REFERENCE_BLOCK_FORMAT_H_
