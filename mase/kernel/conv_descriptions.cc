#include "mase/kernel/conv_descriptions.h"

#include <algorithm>

#include "mase/kernel/onednn.h"

namespace mase {
namespace {

using dnnl::algorithm;
constexpr auto kF32 = dnnl::memory::data_type::f32;
constexpr bool kAllowEmpty = true;  // Of descriptions: none is not an error.

// Positions that a tile of Winograd's has, the tiles that a part should have to be worth the
// transformation of the weights, and those that it must have to be faster.
constexpr int64_t kTileSide = 4;
constexpr int64_t kGoodTiles = 256;
constexpr int64_t kLeastTiles = 64;
constexpr int64_t kLeastWinogradChannels = 32;

dnnl::primitive_attr PrimitiveAttributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace

ConvDescriptions::ConvDescriptions(const ConvGeometry& geometry, bool training, bool biased,
                                   bool relu, bool exact)
    : g_(geometry), training_(training), biased_(biased), relu_(relu) {
  ChooseLayouts();
  ChooseAlgorithm(exact);
}

void ConvDescriptions::ChooseLayouts() {
  const int64_t block = ChannelBlock();
  const bool depthwise = g_.groups == g_.in_channels && g_.groups == g_.out_channels;
  const int64_t groups = depthwise ? 1 : g_.groups;
  src_blocked_ = g_.in_channels / groups % block == 0;
  dst_blocked_ = g_.out_channels / groups % block == 0;
  // An image's few channels may be plain before a blocked result.
  if (!src_blocked_ && g_.in_channels > 4) dst_blocked_ = false;
  if (!dst_blocked_) src_blocked_ = false;
  if (!dst_blocked_) return;
  if (!IsGenerated(Forward(1, Outside(), AnyWeights()))) src_blocked_ = dst_blocked_ = false;
}

void ConvDescriptions::ChooseAlgorithm(bool exact) {
  const bool fits = g_.kernel[0] == 3 && g_.kernel[1] == 3 && g_.stride[0] == 1 &&
                    g_.stride[1] == 1 && g_.dilation[0] == 1 && g_.dilation[1] == 1 &&
                    g_.padding[0] <= 1 && g_.padding[1] <= 1 && g_.groups == 1;
  const bool has_positions = std::max<int64_t>(g_.batch / 2, 1) * Tiles() >= kLeastTiles &&
                             2 * g_.out[0] * g_.out[1] >= Tiles() * kTileSide * kTileSide;
  const bool has_channels = std::min(g_.in_channels, g_.out_channels) >= kLeastWinogradChannels;
  if (fits && !exact && has_positions && has_channels && src_blocked_ && ChannelBlock() == 16) {
    algorithm_ = algorithm::convolution_winograd;
  }
}

int64_t ConvDescriptions::Tiles() const {
  const auto along = [](int64_t extent) { return (extent + kTileSide - 1) / kTileSide; };
  return along(g_.out[0]) * along(g_.out[1]);
}

int64_t ConvDescriptions::GoodWinogradSamples() const { return kGoodTiles / Tiles() + 1; }

bool ConvDescriptions::GiveUpWinograd() {
  if (!is_winograd()) return false;
  algorithm_ = algorithm::convolution_direct;
  return true;
}

dnnl::memory::format_tag ConvDescriptions::BlockedTag() {
  return ChannelBlock() == 16 ? Tag::nChw16c : Tag::nChw8c;
}

ConvDescriptions::Orders ConvDescriptions::Outside() const {
  return {src_blocked_ ? BlockedTag() : Tag::nchw, dst_blocked_ ? BlockedTag() : Tag::nchw};
}

dnnl::memory::desc ConvDescriptions::SrcDesc(int64_t samples, Tag order) const {
  return Desc({samples, g_.in_channels, g_.in[0], g_.in[1]}, kF32, order);
}

dnnl::memory::desc ConvDescriptions::DstDesc(int64_t samples, Tag order) const {
  return Desc({samples, g_.out_channels, g_.out[0], g_.out[1]}, kF32, order);
}

dnnl::memory::desc ConvDescriptions::WeightDesc(Tag order) const {
  const int64_t ins = g_.in_channels / g_.groups, outs = g_.out_channels;
  if (g_.groups == 1) return Desc({outs, ins, g_.kernel[0], g_.kernel[1]}, kF32, order);
  return Desc({g_.groups, outs / g_.groups, ins, g_.kernel[0], g_.kernel[1]}, kF32, order);
}

dnnl::memory::desc ConvDescriptions::BiasDesc() const {
  return biased_ ? Desc({g_.out_channels}, kF32, Tag::x) : Desc();
}

dnnl::memory::dims ConvDescriptions::PaddingRight() const {
  Dims right(2);
  for (int i = 0; i < 2; ++i) {
    const int64_t window = (g_.kernel[i] - 1) * g_.dilation[i] + 1;
    right[i] = (g_.out[i] - 1) * g_.stride[i] + window - g_.in[i] - g_.padding[i];
  }
  return right;
}

dnnl::primitive_attr ConvDescriptions::ForwardAttributes() const {
  dnnl::primitive_attr attributes = PrimitiveAttributes();
  if (relu_) {
    dnnl::post_ops after;
    after.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
    attributes.set_post_ops(after);
  }
  return attributes;
}

dnnl::convolution_forward::primitive_desc ConvDescriptions::Forward(int64_t samples, Orders orders,
                                                                    const Desc& weights) const {
  const auto kind =
      training_ ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  return {{kind, algorithm_, SrcDesc(samples, orders.src), weights, BiasDesc(),
           DstDesc(samples, orders.dst), Strides(), Dilates(), PaddingLeft(), PaddingRight()},
          ForwardAttributes(),
          OneDnnEngine(),
          kAllowEmpty};
}

dnnl::convolution_backward_data::primitive_desc ConvDescriptions::BackwardData(
    int64_t samples, Orders orders, const Desc& weights) const {
  return {{algorithm_, SrcDesc(samples, orders.src), weights, DstDesc(samples, orders.dst),
           Strides(), Dilates(), PaddingLeft(), PaddingRight()},
          PrimitiveAttributes(),
          OneDnnEngine(),
          Forward(samples, orders, AnyWeights()),
          kAllowEmpty};
}

dnnl::convolution_backward_weights::primitive_desc ConvDescriptions::BackwardWeights(
    int64_t samples, Orders orders, const Desc& weights) const {
  return {{algorithm_, SrcDesc(samples, orders.src), weights, BiasDesc(),
           DstDesc(samples, orders.dst), Strides(), Dilates(), PaddingLeft(), PaddingRight()},
          PrimitiveAttributes(),
          OneDnnEngine(),
          Forward(samples, orders, AnyWeights()),
          kAllowEmpty};
}

}  // namespace mase
