// "integer_conv" of each channel by itself: sums run along channels, which come last.
#include <algorithm>
#include <cstring>
#include <memory>

#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_windows.h"
#include "mase/kernel/integer/depthwise_loop.h"
#include "mase/kernel/integer/product.h"

namespace mase {
namespace {

class DepthwiseKernel final : public ProductKernel {
 public:
  explicit DepthwiseKernel(const KernelSpec& spec) : DepthwiseKernel(spec, ConvGeometry(spec)) {}

  KernelFacts facts() const override {
    KernelFacts facts = ProductKernel::facts();
    facts.weight = loop_.reads == Factors::kBytes ? DType::kInt8 : DType::kInt32;
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
        codes[tap * RoundUpToLanes(channels) + c] = loop_.Lane(weight.Code(c, tap));
      }
    }
    char* padding = args.Prepared<char>() + padding_at_;
    if (src_codes_.is_byte()) {
      std::fill_n(padding, channels, static_cast<char>(src_codes_.zero));
    } else {
      std::fill_n(reinterpret_cast<int32_t*>(padding), channels, src_codes_.zero);
    }
    return epilogue_.Prepare(args, SumRange(src_codes_, weight_codes_, bias, channels),
                             reinterpret_cast<float*>(args.Prepared<char>() + epilogue_at_));
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(args.Prepared<char>() + epilogue_at_));
    ForChunks(g_.batch * windows_.positions(), tasks_,
              [&](int64_t task, int64_t begin, int64_t end) {
                const void** pixels = args.Scratch<const void*>() + task * kBlock * windows_.taps();
                for (int64_t row = begin; row < end; row += kBlock) {
                  RunBlock(args, row, std::min(kBlock, end - row), epilogue, pixels);
                }
              });
    return absl::OkStatus();
  }

 private:
  DepthwiseKernel(const KernelSpec& spec, const ConvGeometry& g)
      : DepthwiseKernel(
            spec, g,
            FactorsOf(*spec.srcs[0].codes, spec.weight.least, spec.weight.most, /*depth=*/1)) {}
  DepthwiseKernel(const KernelSpec& spec, const ConvGeometry& g, Factors factors)
      : ProductKernel(ChooseDepthwiseLoop(CurrentIntegerIsa(), factors).isa,
                      spec.dst.elements() * g.kernel[0] * g.kernel[1]),
        loop_(ChooseDepthwiseLoop(CurrentIntegerIsa(), factors)),
        g_(g),
        windows_(g),
        src_codes_(*spec.srcs[0].codes),
        weight_codes_(spec.weight),
        gemm_(src_codes_, factors, windows_.taps(), 1, g.in_channels),
        epilogue_(spec, g.out_channels),
        weights_at_(RoundUp64(gemm_.packed_bytes())),
        padding_at_(weights_at_ + windows_.taps() * RoundUpToLanes(g.in_channels) * 4),
        epilogue_at_(padding_at_ + RoundUpToLanes(g.in_channels) * 4),
        tasks_(ChunkCount(macs_, kTaskMacs / 8,
                          std::clamp<int64_t>(g.batch * windows_.positions(), 1, kMostTasks))) {
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
    scratch_bytes_ = tasks_ * kBlock * windows_.taps() * static_cast<int64_t>(sizeof(const void*));
  }

  // Positions of results from `first` on; `pixels` is memory for their taps.
  void RunBlock(const KernelArgs& args, int64_t first, int64_t count,
                const Epilogue::Loop& epilogue, const void** pixels) const {
    const bool bytes = src_codes_.is_byte();
    const int64_t channels = g_.in_channels, size = bytes ? 1 : 4, taps = windows_.taps();
    const char* const src = static_cast<const char*>(args.srcs[0]);
    const char* const prepared = args.Prepared<char>();
    windows_.ForRows(first, count, [&](int64_t r, int64_t tap, int64_t pixel) {
      pixels[r * taps + tap] = pixel < 0 ? prepared + padding_at_ : src + pixel * channels * size;
    });
    const int64_t stride = RoundUpToLanes(channels);
    DepthwiseRow row = {
        .end = src + g_.batch * g_.in[0] * g_.in[1] * channels * size,
        .taps = taps,
        .stride = stride,
    };
    // Sums of some channels at a time, which stay in the nearest cache.
    constexpr int64_t kMostChannels = 256, kRows = IntegerGemm::kMostRows;
    alignas(64) int32_t sums[kRows * kMostChannels];
    for (int64_t c = 0; c < channels; c += kMostChannels) {
      row.channels = std::min(kMostChannels, channels - c);
      row.weight = reinterpret_cast<const int32_t*>(prepared + weights_at_) + c;
      row.offset = gemm_.ColumnsAt(prepared, c).offset;
      const IntegerGemm::Result result = {epilogue, epilogue_.stores_bytes(), args.dst, channels, c,
                                          c};
      for (int64_t r = 0; r < count; r += kRows) {
        const int64_t rows = std::min(kRows, count - r);
        for (int64_t i = 0; i < rows; ++i) {
          row.pixels = pixels + (r + i) * taps;
          row.sums = sums + i * kMostChannels;
          (bytes ? loop_.run_bytes : loop_.run_words)(row);
        }
        gemm_.Finish(prepared, sums, kMostChannels, rows, row.channels, result,
                     (first + r) * channels + c);
      }
      for (int64_t i = 0; i < count * taps; ++i) {
        pixels[i] = static_cast<const char*>(pixels[i]) + row.channels * size;
      }
    }
  }

  static constexpr int64_t kBlock = 2 * IntegerGemm::kMostRows, kMostTasks = 64;

  const DepthwiseLoop& loop_;
  const ConvGeometry g_;
  const Windows windows_;
  const Codes src_codes_;
  const WeightCodes weight_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t weights_at_, padding_at_, epilogue_at_;
  const int64_t tasks_;
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
