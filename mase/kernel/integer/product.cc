// linear, conv1d, conv2d, matmul and bmm on codes: "integer_linear", "integer_conv",
// "integer_matmul". The stored weight and bias come as the rounded float32 numbers that the
// simulated step reads, and are packed as codes by Prepare, which also proves that no sum overflows
// (gemm.h). What follows in the fused list runs in registers (epilogue.h).
//
// Convolutions have their channels last, so that the channels of a pixel are one run for the inner
// loop, whatever the kernel's size, stride, padding and dilation.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/integer/gemm.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/matmul_batch.h"

namespace mase {
namespace {

// Multiplications that are worth a task.
constexpr int64_t kTaskMacs = 1 << 20;

int64_t RoundUp64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// A rounded weight as codes.
class WeightReader {
 public:
  WeightReader(const WeightCodes& codes, int64_t outputs, int64_t depth, const float* weight)
      : codes_(codes), depth_(depth), weight_(weight) {
    for (int64_t i = 0; i < outputs * depth; ++i) {
      const float scale = Scale(i / std::max<int64_t>(depth, 1));
      const double code = std::nearbyint(static_cast<double>(weight[i]) / scale);
      if (code >= codes.least && code <= codes.most) continue;
      status_ = absl::OutOfRangeError(absl::StrCat("weight ", i, " is ", weight[i], ", whose code ",
                                                   code, " is none of the format's, ", codes.least,
                                                   " to ", codes.most));
      return;
    }
  }

  const absl::Status& status() const { return status_; }
  float Scale(int64_t output) const {
    return codes_.scales.size() == 1 ? codes_.scales[0] : codes_.scales[output];
  }
  int Code(int64_t output, int64_t k) const {
    return static_cast<int>(
        std::nearbyint(static_cast<double>(weight_[output * depth_ + k]) / Scale(output)));
  }

 private:
  const WeightCodes& codes_;
  const int64_t depth_;
  const float* weight_;
  absl::Status status_;
};

// What the kernels of layers share: facts for reports.
class ProductKernel : public Kernel {
 public:
  KernelFacts facts() const override {
    return {.implementation = "own",
            .isa = std::string(IntegerIsaName(isa_)),
            .macs = macs_,
            .sum_bits = bound_.bits()};
  }

 protected:
  ProductKernel(IntegerIsa isa, int64_t macs) : isa_(isa), macs_(macs) {}

  const IntegerIsa isa_;
  const int64_t macs_;
  SumBound bound_;
};

class IntegerLinearKernel final : public ProductKernel {
 public:
  explicit IntegerLinearKernel(const KernelSpec& spec)
      : IntegerLinearKernel(spec, spec.attributes->Int("in_features"),
                            spec.attributes->Int("out_features")) {}

  absl::Status Prepare(const KernelArgs& args) override {
    const WeightReader weight(weight_codes_, out_, in_, args.Tensor<float>(weight_));
    MASE_RETURN_IF_ERROR(weight.status());
    char* prepared = args.Prepared<char>();
    bound_ = {};
    MASE_RETURN_IF_ERROR(
        gemm_.Pack([&](int64_t o, int64_t, int64_t k) { return weight.Code(o, k); },
                   [&](int64_t o) { return src_scale_ * weight.Scale(o); },
                   bias_ < 0 ? nullptr : args.Tensor<float>(bias_), prepared, &bound_));
    MASE_RETURN_IF_ERROR(
        epilogue_.Prepare(args, reinterpret_cast<float*>(prepared + epilogue_at_)));
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const char* prepared = args.Prepared<char>();
    const char* src = static_cast<const char*>(args.srcs[0]);
    if (!gemm_.reads_bytes()) {
      gemm_.Widen(src, rows_ * in_, args.Scratch<int16_t>());
      src = args.Scratch<char>();
    }
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(prepared + epilogue_at_));
    const int64_t stride = in_ * gemm_.a_bytes();
    ForChunks(rows_,
              ChunkCount(macs_, kTaskMacs, std::min<int64_t>(std::max<int64_t>(rows_, 1), 64)),
              [&](int64_t, int64_t begin, int64_t end) {
                gemm_.Run(
                    prepared, begin, end, [=](int64_t r, int64_t) { return src + r * stride; },
                    epilogue, epilogue_.stores_bytes(), args.dst, out_, 0, 0);
              });
    return absl::OkStatus();
  }

 private:
  IntegerLinearKernel(const KernelSpec& spec, int64_t in, int64_t out)
      : ProductKernel(CurrentIntegerIsa(), spec.dst.elements() * in),
        in_(in),
        out_(out),
        rows_(spec.dst.elements() / std::max<int64_t>(out, 1)),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        src_scale_(spec.srcs[0].codes->scale),
        weight_codes_(spec.weight),
        gemm_(*spec.srcs[0].codes, spec.weight.is_byte(), 1, in, out),
        epilogue_(spec, out),
        epilogue_at_(RoundUp64(gemm_.packed_bytes())) {
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
    if (!gemm_.reads_bytes()) scratch_bytes_ = (rows_ * in_ + IntegerGemm::kOverread) * 2;
  }

  const int64_t in_, out_, rows_;
  const int weight_, bias_;
  const float src_scale_;
  const WeightCodes weight_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t epilogue_at_;
};

// A pixel's place in the input for a tap of a position of the result; -1 in the padding.
class Windows {
 public:
  explicit Windows(const ConvGeometry& g) : g_(g) {}

  int64_t positions() const { return g_.out[0] * g_.out[1]; }
  int64_t taps() const { return g_.kernel[0] * g_.kernel[1]; }
  [[gnu::always_inline]] int64_t Pixel(int64_t row, int64_t tap) const {
    const int64_t sample = row / positions(), position = row % positions();
    const int64_t y =
        position / g_.out[1] * g_.stride[0] - g_.padding[0] + tap / g_.kernel[1] * g_.dilation[0];
    const int64_t x =
        position % g_.out[1] * g_.stride[1] - g_.padding[1] + tap % g_.kernel[1] * g_.dilation[1];
    if (y < 0 || y >= g_.in[0] || x < 0 || x >= g_.in[1]) return -1;
    return (sample * g_.in[0] + y) * g_.in[1] + x;
  }

 private:
  const ConvGeometry g_;
};

class IntegerConvKernel final : public ProductKernel {
 public:
  explicit IntegerConvKernel(const KernelSpec& spec)
      : IntegerConvKernel(spec, ConvGeometry(spec)) {}

  absl::Status Prepare(const KernelArgs& args) override {
    const int64_t taps = windows_.taps();
    const WeightReader weight(weight_codes_, g_.out_channels, depth_ * taps,
                              args.Tensor<float>(g_.weight));
    MASE_RETURN_IF_ERROR(weight.status());
    const float* bias = g_.bias < 0 ? nullptr : args.Tensor<float>(g_.bias);
    bound_ = {};
    for (int64_t group = 0; group < g_.groups; ++group) {
      const int64_t first = group * outputs_;
      MASE_RETURN_IF_ERROR(gemms_[group].Pack(
          [&](int64_t o, int64_t tap, int64_t k) { return weight.Code(first + o, k * taps + tap); },
          [&](int64_t o) { return src_codes_.scale * weight.Scale(first + o); },
          bias == nullptr ? nullptr : bias + first, args.Prepared<char>() + group * packed_bytes_,
          &bound_));
    }
    char* prepared = args.Prepared<char>();
    MASE_RETURN_IF_ERROR(
        epilogue_.Prepare(args, reinterpret_cast<float*>(prepared + epilogue_at_)));
    if (gemms_[0].reads_bytes()) {
      std::memset(prepared + padding_at_, src_codes_.zero, PixelBytes());
    } else {
      std::fill_n(reinterpret_cast<int16_t*>(prepared + padding_at_), PixelBytes() / 2,
                  static_cast<int16_t>(src_codes_.zero));
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const char* prepared = args.Prepared<char>();
    const char* src = static_cast<const char*>(args.srcs[0]);
    if (!gemms_[0].reads_bytes()) {
      gemms_[0].Widen(src, SrcElements(), args.Scratch<int16_t>());
      src = args.Scratch<char>();
    }
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(prepared + epilogue_at_));
    const int64_t bytes = gemms_[0].a_bytes(), pixel_bytes = g_.in_channels * bytes;
    const char* padding = prepared + padding_at_;
    const int64_t rows = g_.batch * windows_.positions();
    ForChunks(rows, ChunkCount(macs_, kTaskMacs, std::clamp<int64_t>(rows, 1, 64)),
              [&](int64_t, int64_t begin, int64_t end) {
                for (int64_t group = 0; group < g_.groups; ++group) {
                  const char* from = src + group * depth_ * bytes;
                  gemms_[group].Run(
                      prepared + group * packed_bytes_, begin, end,
                      [&](int64_t row, int64_t tap) {
                        const int64_t pixel = windows_.Pixel(row, tap);
                        return pixel < 0 ? padding : from + pixel * pixel_bytes;
                      },
                      epilogue, epilogue_.stores_bytes(), args.dst, g_.out_channels,
                      group * outputs_, group * outputs_);
                }
              });
    return absl::OkStatus();
  }

 private:
  IntegerConvKernel(const KernelSpec& spec, const ConvGeometry& g)
      : ProductKernel(CurrentIntegerIsa(),
                      spec.dst.elements() * g.in_channels / g.groups * g.kernel[0] * g.kernel[1]),
        g_(g),
        windows_(g),
        depth_(g.in_channels / g.groups),
        outputs_(g.out_channels / g.groups),
        src_codes_(*spec.srcs[0].codes),
        weight_codes_(spec.weight),
        gemms_(g.groups,
               IntegerGemm(src_codes_, spec.weight.is_byte(), windows_.taps(), depth_, outputs_)),
        epilogue_(spec, g.out_channels),
        packed_bytes_(RoundUp64(gemms_[0].packed_bytes())),
        padding_at_(packed_bytes_ * g.groups),
        epilogue_at_(padding_at_ + RoundUp64(PixelBytes())) {
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
    if (!gemms_[0].reads_bytes()) {
      scratch_bytes_ = (SrcElements() + IntegerGemm::kOverread) * 2;
    }
  }

  int64_t SrcElements() const { return g_.batch * g_.in_channels * g_.in[0] * g_.in[1]; }
  int64_t PixelBytes() const { return 2 * (depth_ + IntegerGemm::kOverread); }

  const ConvGeometry g_;
  const Windows windows_;
  const int64_t depth_, outputs_;  // Of a group.
  const Codes src_codes_;
  const WeightCodes weight_codes_;
  std::vector<IntegerGemm> gemms_;  // By group.
  const Epilogue epilogue_;
  const int64_t packed_bytes_, padding_at_, epilogue_at_;
};

// A convolution of each channel by itself: sums run along channels.
class DepthwiseKernel final : public ProductKernel {
 public:
  explicit DepthwiseKernel(const KernelSpec& spec) : DepthwiseKernel(spec, ConvGeometry(spec)) {}

  static bool Serves(const ConvGeometry& g) {
    return g.groups == g.in_channels && g.groups == g.out_channels && g.groups > 1;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    const int64_t taps = windows_.taps(), channels = g_.in_channels;
    const WeightReader weight(weight_codes_, channels, taps, args.Tensor<float>(g_.weight));
    MASE_RETURN_IF_ERROR(weight.status());
    // The gemm's numbers by output, from which it would have packed its factors.
    bound_ = {};
    MASE_RETURN_IF_ERROR(gemm_.Pack(
        [&](int64_t c, int64_t tap, int64_t) { return weight.Code(c, tap); },
        [&](int64_t c) { return src_codes_.scale * weight.Scale(c); },
        g_.bias < 0 ? nullptr : args.Tensor<float>(g_.bias), args.Prepared<char>(), &bound_));
    int32_t* codes = reinterpret_cast<int32_t*>(args.Prepared<char>() + weights_at_);
    std::fill_n(codes, taps * RoundUpToLanes(channels), 0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        codes[tap * RoundUpToLanes(channels) + c] = weight.Code(c, tap);
      }
    }
    MASE_RETURN_IF_ERROR(
        epilogue_.Prepare(args, reinterpret_cast<float*>(args.Prepared<char>() + epilogue_at_)));
    return absl::OkStatus();
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
        gemm_(src_codes_, spec.weight.is_byte(), windows_.taps(), 1, g.in_channels),
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
    const int64_t taps = windows_.taps();
    const int32_t zero = src_codes_.zero;
    for (int64_t row = begin; row < end; ++row) {
      int64_t pixels[IntegerGemm::kMaxTaps];
      for (int64_t tap = 0; tap < taps; ++tap) pixels[tap] = windows_.Pixel(row, tap);
      ForBestIsa([&] {
        for (int64_t c = 0; c < channels; c += kTileLanes) {
          const int64_t count = std::min(kTileLanes, channels - c);
          alignas(64) int32_t sums[kTileLanes] = {};
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

class IntegerMatmulKernel final : public ProductKernel {
 public:
  explicit IntegerMatmulKernel(const KernelSpec& spec)
      : IntegerMatmulKernel(spec,
                            WholeProduct(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape)) {}

  absl::Status Forward(const KernelArgs& args) override {
    const char* a = static_cast<const char*>(args.srcs[0]);
    char* packed = args.Scratch<char>();
    if (!gemm_.reads_bytes()) {
      int16_t* words = reinterpret_cast<int16_t*>(packed + words_at_);
      gemm_.Widen(a, a_elements_, words);
      a = reinterpret_cast<const char*>(words);
    }
    const Epilogue::Loop epilogue = epilogue_.MakeLoop(nullptr);
    const int64_t stride = depth_ * gemm_.a_bytes();
    SumBound unused;
    for (size_t i = 0; i < batch_.size(); ++i) {
      if (i == 0 || batch_[i].b != batch_[i - 1].b) {
        MASE_RETURN_IF_ERROR(
            PackEntry(args.srcs[1], batch_[i].b * depth_ * cols_, packed, &unused));
      }
      const char* from = a + batch_[i].a * rows_ * stride;
      const int64_t first = static_cast<int64_t>(i) * rows_;
      ForChunks(rows_,
                ChunkCount(rows_ * cols_ * depth_, kTaskMacs, std::clamp<int64_t>(rows_, 1, 64)),
                [&](int64_t, int64_t begin, int64_t end) {
                  gemm_.Run(
                      packed, first + begin, first + end,
                      [=](int64_t r, int64_t) { return from + (r - first) * stride; }, epilogue,
                      epilogue_.stores_bytes(), args.dst, cols_, 0, 0);
                });
    }
    return absl::OkStatus();
  }

 private:
  IntegerMatmulKernel(const KernelSpec& spec, const Shape& dst)
      : ProductKernel(CurrentIntegerIsa(), dst.elements() * spec.srcs[0].shape[-1]),
        rows_(dst[-2]),
        cols_(dst[-1]),
        depth_(spec.srcs[0].shape[-1]),
        a_elements_(spec.srcs[0].elements()),
        batch_(BroadcastBatch(spec.srcs[0].shape, spec.srcs[1].shape, dst)),
        scale_(spec.srcs[0].codes->scale * spec.srcs[1].codes->scale),
        b_codes_(*spec.srcs[1].codes),
        gemm_(*spec.srcs[0].codes, b_codes_.least() >= -128 && b_codes_.most() <= 127, 1, depth_,
              cols_),
        epilogue_(spec, cols_),
        words_at_(RoundUp64(gemm_.packed_bytes())) {
    scratch_bytes_ = words_at_;
    if (!gemm_.reads_bytes()) scratch_bytes_ += (a_elements_ + IntegerGemm::kOverread) * 2;
    const double a = std::max(std::abs(spec.srcs[0].codes->least()), spec.srcs[0].codes->most());
    const double b = std::max(std::abs(b_codes_.least()), b_codes_.most());
    bound_.Include(-a * b * static_cast<double>(depth_), a * b * static_cast<double>(depth_));
  }

  absl::Status PackEntry(const void* b, int64_t offset, char* packed, SumBound* bound) {
    const auto pack = [&](const auto* codes) {
      return gemm_.Pack(
          [&](int64_t c, int64_t, int64_t k) {
            return static_cast<int>(codes[offset + k * cols_ + c]) - b_codes_.zero;
          },
          [&](int64_t) { return scale_; }, nullptr, packed, bound);
    };
    return b_codes_.is_byte() ? pack(static_cast<const uint8_t*>(b))
                              : pack(static_cast<const int32_t*>(b));
  }

  const int64_t rows_, cols_, depth_, a_elements_;
  const std::vector<BatchEntry> batch_;
  const float scale_;
  const Codes b_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t words_at_;
};

KernelOr MakeIntegerConv(const KernelSpec& spec) {
  if (DepthwiseKernel::Serves(ConvGeometry(spec))) return std::make_unique<DepthwiseKernel>(spec);
  return std::make_unique<IntegerConvKernel>(spec);
}

}  // namespace

std::vector<KernelEntry> IntegerProductKernels() {
  std::vector<KernelEntry> entries;
  for (const DType dtype : {DType::kFloat32, DType::kUInt8, DType::kInt32}) {
    entries.push_back({"integer_linear", dtype, Make<IntegerLinearKernel>});
    entries.push_back({"integer_conv", dtype, MakeIntegerConv});
    entries.push_back({"integer_matmul", dtype, Make<IntegerMatmulKernel>});
  }
  return entries;
}

}  // namespace mase
