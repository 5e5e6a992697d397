// "integer_conv" of each channel by itself: sums run along channels, which come last.
#include <algorithm>
#include <cstring>
#include <memory>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_windows.h"
#include "mase/kernel/integer/product.h"

namespace mase {
namespace {

class DepthwiseKernel final : public ProductKernel {
 public:
  explicit DepthwiseKernel(const KernelSpec& spec) : DepthwiseKernel(spec, ConvGeometry(spec)) {}

  // Products are of 32 bits, in loops of ForBestIsa.
  KernelFacts facts() const override {
    KernelFacts facts = ProductKernel::facts();
    facts.isa = IsaName(CurrentIsa());
    facts.weight = DType::kInt32;
    return facts;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    const int64_t taps = windows_.taps(), channels = g_.in_channels;
    const WeightReader weight(weight_codes_, channels, taps, args.Tensor<float>(g_.weight));
    MASE_RETURN_IF_ERROR(weight.status());
    // The gemm's numbers by output, from which it would have packed its factors.
    bound_ = {};
    const float* bias = g_.bias < 0 ? nullptr : args.Tensor<float>(g_.bias);
    MASE_RETURN_IF_ERROR(
        gemm_.Pack([&](int64_t c, int64_t tap, int64_t) { return weight.Code(c, tap); },
                   [&](int64_t c) { return src_codes_.scale * weight.Scale(c); }, bias,
                   args.Prepared<char>(), &bound_));
    int32_t* codes = reinterpret_cast<int32_t*>(args.Prepared<char>() + weights_at_);
    std::fill_n(codes, taps * RoundUpToLanes(channels), 0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        codes[tap * RoundUpToLanes(channels) + c] = weight.Code(c, tap);
      }
    }
    return epilogue_.Prepare(args, SumRange(src_codes_, weight_codes_, bias, channels),
                             reinterpret_cast<float*>(args.Prepared<char>() + epilogue_at_));
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(args.Prepared<char>() + epilogue_at_));
    const int64_t rows = g_.batch * windows_.positions();
    ForChunks(rows, ChunkCount(macs_, kTaskMacs / 8, std::clamp<int64_t>(rows, 1, 64)),
              [&](int64_t, int64_t begin, int64_t end) {
                if (src_codes_.is_byte()) {
                  Rows(args, args.Src<uint8_t>(0), begin, end, epilogue);
                } else {
                  Rows(args, args.Src<int32_t>(0), begin, end, epilogue);
                }
              });
    return absl::OkStatus();
  }

 private:
  DepthwiseKernel(const KernelSpec& spec, const ConvGeometry& g)
      : ProductKernel(CurrentIntegerIsa(), spec.dst.elements() * g.kernel[0] * g.kernel[1]),
        g_(g),
        windows_(g),
        src_codes_(*spec.srcs[0].codes),
        weight_codes_(spec.weight),
        gemm_(src_codes_, FactorsOf(src_codes_, spec.weight.least, spec.weight.most, 1),
              windows_.taps(), 1, g.in_channels),
        epilogue_(spec, g.out_channels),
        weights_at_(RoundUp64(gemm_.packed_bytes())),
        epilogue_at_(weights_at_ + windows_.taps() * RoundUpToLanes(g.in_channels) * 4) {
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
  }

  // Modulo 2^32: sums of stored codes may leave an int32 on the way to one that does not.
  static int32_t AddProduct(int32_t sum, int32_t code, int32_t weight) {
    return static_cast<int32_t>(static_cast<uint32_t>(sum) +
                                static_cast<uint32_t>(code) * static_cast<uint32_t>(weight));
  }

  template <typename T>
  void Rows(const KernelArgs& args, const T* src, int64_t begin, int64_t end,
            const Epilogue::Loop& epilogue) const {
    const int64_t channels = g_.in_channels, stride = RoundUpToLanes(channels);
    const int32_t* weights = reinterpret_cast<const int32_t*>(args.Prepared<char>() + weights_at_);
    const int32_t* offsets = gemm_.ColumnsAt(args.Prepared<char>(), 0).offset;
    const int64_t taps = windows_.taps();
    const int32_t zero = src_codes_.zero;
    for (int64_t row = begin; row < end; ++row) {
      int64_t pixels[IntegerGemm::kMaxTaps];
      windows_.ForRows(row, 1, [&](int64_t, int64_t tap, int64_t pixel) { pixels[tap] = pixel; });
      ForBestIsa([&] {
        for (int64_t c = 0; c < channels; c += kTileLanes) {
          const int64_t count = std::min(kTileLanes, channels - c);
          alignas(64) int32_t sums[kTileLanes];
          std::copy_n(offsets + c, kTileLanes, sums);
          for (int64_t tap = 0; tap < taps; ++tap) {
            const int32_t* w = weights + tap * stride + c;
            if (pixels[tap] < 0) {
              for (int64_t i = 0; i < kTileLanes; ++i) sums[i] = AddProduct(sums[i], zero, w[i]);
            } else if (count == kTileLanes) {
              const T* at = src + pixels[tap] * channels + c;
              for (int64_t i = 0; i < kTileLanes; ++i) sums[i] = AddProduct(sums[i], at[i], w[i]);
            } else {
              const T* at = src + pixels[tap] * channels + c;
              for (int64_t i = 0; i < count; ++i) sums[i] = AddProduct(sums[i], at[i], w[i]);
            }
          }
          gemm_.Finish(args.Prepared<char>(), sums, c, count, epilogue, epilogue_.stores_bytes(),
                       args.dst, row * channels + c, c);
        }
      });
    }
  }

  const ConvGeometry g_;
  const Windows windows_;
  const Codes src_codes_;
  const WeightCodes weight_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t weights_at_, epilogue_at_;
};

}  // namespace

bool IsDepthwise(const KernelSpec& spec) {
  const ConvGeometry g(spec);
  return g.groups == g.in_channels && g.groups == g.out_channels && g.groups > 1;
}

KernelOr MakeIntegerDepthwise(const KernelSpec& spec) {
  return std::make_unique<DepthwiseKernel>(spec);
}

}  // namespace mase
