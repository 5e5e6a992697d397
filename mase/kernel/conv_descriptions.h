// What oneDNN is asked for a convolution: by which sums, in which orders of its operands, for how
// many samples.
//
// Convolutions of 3 x 3 with many channels and positions run by Winograd's F(4 x 4, 3 x 3), which
// takes a quarter of the multiplications: twice as fast, with errors of about 1e-6 of the result
// where direct sums have 3e-7. Not where direct sums have none (KernelSpec::sum_bits).
//
// Values lie in blocks of channels where those come out even, else plain. For plain ones oneDNN has
// no generated kernels: forward, and each gradient for itself, then works on copies of a part in an
// order that it has one for, which takes a half to a quarter of the time.
#ifndef MASE_KERNEL_CONV_DESCRIPTIONS_H_
#define MASE_KERNEL_CONV_DESCRIPTIONS_H_

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/kernel.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {

class ConvDescriptions {
 public:
  using Desc = dnnl::memory::desc;
  using Tag = dnnl::memory::format_tag;

  // The orders of a convolution's input and result in memory.
  struct Orders {
    Tag src, dst;
  };

  // Of a convolution with samples and inputs. `biased`: numbers are added, be it a norm's. `exact`:
  // sums are to be exact, which those of transformed numbers are not. Throws dnnl::error.
  ConvDescriptions(const ConvGeometry& geometry, bool training, bool biased, bool relu, bool exact);

  // How values lie outside.
  Layout src_layout() const { return src_blocked_ ? Layout::kBlocked : Layout::kPlain; }
  Layout dst_layout() const { return dst_blocked_ ? Layout::kBlocked : Layout::kPlain; }
  Desc OutsideSrc(int64_t samples) const { return SrcDesc(samples, Outside().src); }
  Desc OutsideDst(int64_t samples) const { return DstDesc(samples, Outside().dst); }
  Desc PlainWeights() const { return WeightDesc(g_.groups == 1 ? Tag::oihw : Tag::goihw); }
  // Of which oneDNN chooses the order.
  Desc AnyWeights() const { return WeightDesc(Tag::any); }

  // Winograd's sums want this many samples in a part to be worth the transformation of weights.
  bool is_winograd() const { return algorithm_ == dnnl::algorithm::convolution_winograd; }
  int64_t GoodWinogradSamples() const;
  // From here on sums are direct; false if they were.
  bool GiveUpWinograd();

  // Descriptions for so many samples; empty where oneDNN has nothing for the orders.
  dnnl::convolution_forward::primitive_desc Forward(int64_t samples, Orders orders,
                                                    const Desc& weights) const;
  dnnl::convolution_backward_data::primitive_desc BackwardData(int64_t samples, Orders orders,
                                                               const Desc& weights) const;
  dnnl::convolution_backward_weights::primitive_desc BackwardWeights(int64_t samples, Orders orders,
                                                                     const Desc& weights) const;

  // The first orders with a generated kernel: as the values lie; an image's few channels as they
  // are, with a result in blocks that are not full; channels last. Else as the values lie, or all
  // plain. `describe(orders)` is one of the descriptions above.
  template <typename Describe>
  Orders ChooseOrders(const Describe& describe) const {
    for (const Orders orders :
         {Outside(), Orders{Tag::nchw, BlockedTag()}, Orders{Tag::nhwc, Tag::nhwc}}) {
      if (IsGenerated(describe(orders))) return orders;
    }
    return describe(Outside()) ? Outside() : Orders{Tag::nchw, Tag::nchw};
  }

 private:
  using Dims = dnnl::memory::dims;

  // Whether oneDNN has a kernel generated for the shape, and not one that serves all of them.
  template <typename PrimitiveDesc>
  static bool IsGenerated(const PrimitiveDesc& desc) {
    if (!desc) return false;
    const absl::string_view name = desc.impl_info_str();
    return !absl::StrContains(name, "ref") && !absl::StrContains(name, "gemm");
  }
  static Tag BlockedTag();

  void ChooseLayouts();
  // Winograd's sums where they are faster.
  void ChooseAlgorithm(bool exact);
  // Of a sample, as Winograd's sums cut it.
  int64_t Tiles() const;

  Orders Outside() const;
  Desc SrcDesc(int64_t samples, Tag order) const;
  Desc DstDesc(int64_t samples, Tag order) const;
  Desc WeightDesc(Tag order) const;
  Desc BiasDesc() const;
  Dims Strides() const { return {g_.stride[0], g_.stride[1]}; }
  Dims Dilates() const { return {g_.dilation[0] - 1, g_.dilation[1] - 1}; }
  Dims PaddingLeft() const { return {g_.padding[0], g_.padding[1]}; }
  // What makes the last window end where it does.
  Dims PaddingRight() const;
  dnnl::primitive_attr ForwardAttributes() const;

  const ConvGeometry g_;
  const bool training_, biased_, relu_;
  bool src_blocked_ = false, dst_blocked_ = false;
  dnnl::algorithm algorithm_ = dnnl::algorithm::convolution_direct;
};

}  // namespace mase

#endif  // MASE_KERNEL_CONV_DESCRIPTIONS_H_
