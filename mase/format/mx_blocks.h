// Blocks along one axis, as the microscaling families mxint, mxfp and mx have them.
#ifndef MASE_FORMAT_MX_BLOCKS_H_
#define MASE_FORMAT_MX_BLOCKS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/base/status_macros.h"
#include "mase/format/reference_block_format.h"

namespace mase {

// Runs of `size` along `axis` (negative from the back), the last of a row shorter. Quantizing
// reports InvalidArgument for an axis that the tensor lacks.
BlockFormat::Layout AxisLayout(absl::string_view family, int axis, int64_t size);

// How MASE's mxint and mxfp see a tensor: block_dim moved to the end, all flattened and cut into
// runs of block_size, across rows where it does not divide them.
class FlattenedBlocks {
 public:
  // InvalidArgument where MASE refuses: the size does not divide the tensor, no such axis.
  static absl::StatusOr<FlattenedBlocks> Create(absl::string_view family, const Shape& shape,
                                                int axis, int64_t size);

  // The tensor in block order. `src` itself if block_dim is the last axis, else a copy in `buffer`.
  const float* Gather(const float* src, std::vector<float>* buffer) const;
  // The reverse: from block order to `dst`. `blocked` may be `dst` if block_dim is the last axis.
  void Scatter(const float* blocked, float* dst) const;
  bool in_order() const { return inner_ == 1; }

 private:
  int64_t outer_ = 1, extent_ = 1, inner_ = 1;  // The shape as [outer, block_dim, inner].
};

// REFERENCE semantics of mxint and mxfp. Plain: as QuantizeReferenceBlocks on the flattened blocks.
// With quantile search: search(block, original, size, out) for every block, where `original` are
// the elements at the block's place in the tensor's own order: MASE compares with those, which
// are other elements unless block_dim is the last axis.
template <typename ParamsOf, typename Op, typename Search>
class ReferenceMxFormat final : public BlockFormat {
 public:
  ReferenceMxFormat(const FormatProto& proto, const Grid& unit, const BlockRule& rule, int axis,
                    int size, const ParamsOf& params_of, const Op& op, bool quantile_search,
                    const Search& search)
      : BlockFormat(proto, unit, rule, AxisLayout("", axis, size)),
        axis_(axis),
        size_(size),
        params_of_(params_of),
        op_(op),
        quantile_search_(quantile_search),
        search_(search) {}

  // Whether the size divides a tensor may depend on its batch.
  absl::Status CheckRank(const Shape& shape) const override {
    return FlattenedBlocks::Create(family(), shape, axis_, 1).status();
  }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    MASE_ASSIGN_OR_RETURN(const FlattenedBlocks blocks,
                          FlattenedBlocks::Create(family(), shape, axis_, size_));
    const int64_t count = shape.elements();
    std::vector<float> gathered, result;
    const float* in = blocks.Gather(src, &gathered);
    float* out = dst;
    if (!blocks.in_order() || quantile_search_) {
      result.resize(count);
      out = result.data();
    }
    if (quantile_search_) {
      for (int64_t i = 0; i < count; i += size_) search_(in + i, src + i, size_, out + i);
    } else {
      QuantizeReferenceBlocks(BlockLayout::AlongAxis({count}, 0, size_), ZeroBlocks::kStay,
                              params_of_, op_, in, out);
    }
    blocks.Scatter(out, dst);
    return absl::OkStatus();
  }

 private:
  const int axis_, size_;
  const ParamsOf params_of_;
  const Op op_;
  const bool quantile_search_;
  const Search search_;
};

template <typename ParamsOf, typename Op, typename Search>
std::unique_ptr<const Format> MakeReferenceMxFormat(const FormatProto& proto, const Grid& unit,
                                                    const BlockRule& rule, int axis, int size,
                                                    const ParamsOf& params_of, const Op& op,
                                                    bool quantile_search, const Search& search) {
  return std::make_unique<ReferenceMxFormat<ParamsOf, Op, Search>>(
      proto, unit, rule, axis, size, params_of, op, quantile_search, search);
}

// torch.quantile of |x| in float32; `size` >= 1. A NaN gives NaN.
float ReferenceQuantile(const float* x, int size, double p);

}  // namespace mase

#endif  // MASE_FORMAT_MX_BLOCKS_H_
