#include "mase/kernel/conv_few_positions.h"

#include <algorithm>
#include <vector>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/bfloat16.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_norm.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// Most positions of input and result; the matrix has as many elements for each pair of channels.
constexpr int64_t kMaxPositions = 4;
constexpr int64_t kMaxTaps = 25;

constexpr int64_t kFloatBytes = sizeof(float);

// The tap of the kernel that joins a position of the input to one of the result.
struct Pair {
  int64_t in, out, tap;
};

std::vector<Pair> FindPairs(const ConvGeometry& g) {
  std::vector<Pair> pairs;
  for (int64_t out = 0; out < g.out[0] * g.out[1]; ++out) {
    for (int64_t tap = 0; tap < g.kernel[0] * g.kernel[1]; ++tap) {
      const int64_t y =
          out / g.out[1] * g.stride[0] - g.padding[0] + tap / g.kernel[1] * g.dilation[0];
      const int64_t x =
          out % g.out[1] * g.stride[1] - g.padding[1] + tap % g.kernel[1] * g.dilation[1];
      if (y < 0 || y >= g.in[0] || x < 0 || x >= g.in[1]) continue;
      pairs.push_back({y * g.in[1] + x, out, tap});
    }
  }
  return pairs;
}

class FewPositionsConvKernel : public Kernel {
 public:
  explicit FewPositionsConvKernel(const KernelSpec& spec)
      : g_(spec),
        norm_(spec),
        bfloat16_(spec.bfloat16),
        block_(ChannelBlock()),
        in_positions_(g_.in[0] * g_.in[1]),
        out_positions_(g_.out[0] * g_.out[1]),
        taps_(g_.kernel[0] * g_.kernel[1]),
        depth_(g_.in_channels * in_positions_),
        columns_(g_.out_channels * out_positions_),
        pairs_(FindPairs(g_)) {
    for (int64_t tap = 0; tap < taps_; ++tap) {
      const auto uses = [tap](const Pair& pair) { return pair.tap == tap; };
      if (std::any_of(pairs_.begin(), pairs_.end(), uses)) used_taps_.push_back(tap);
    }
    src_layouts_ = {Layout::kBlocked};
    dst_layout_ = Layout::kBlocked;
    reads_src_ = !bfloat16_;
    int64_t prepared = depth_ * columns_;
    if (has_bias()) prepared += columns_ + g_.out_channels;
    if (norm_.present || bfloat16_) prepared += g_.weight_elements();
    prepared_bytes_ = prepared * kFloatBytes;
    if (bfloat16_) workspace_bytes_ = g_.batch * depth_ * kFloatBytes;
    if (spec.training) {
      const int64_t rounded = bfloat16_ ? g_.batch * columns_ : 0;
      scratch_bytes_ = (depth_ * columns_ + columns_ + rounded) * kFloatBytes;
    }
  }

  KernelFacts facts() const override { return FactsOfGemm(Product(nullptr, nullptr)); }

  absl::Status Prepare(const KernelArgs& args) override {
    float* prepared = args.Prepared<float>();
    float* columns_bias = prepared + depth_ * columns_;
    float* bias = columns_bias + columns_;
    float* own_weights = has_bias() ? bias + g_.out_channels : columns_bias;
    const float* weights = args.Tensor<float>(g_.weight);
    if (norm_.present) {
      norm_.Fold(g_, args, bias, own_weights);
      weights = own_weights;
    } else if (g_.bias >= 0) {
      std::copy_n(args.Tensor<float>(g_.bias), g_.out_channels, bias);
    }
    for (int64_t i = 0; has_bias() && i < columns_; ++i) {
      columns_bias[i] = bias[i / (block_ * out_positions_) * block_ + i % block_];
    }
    SpreadWeights(ProductOperand(bfloat16_, g_.weight_elements(), weights, own_weights), prepared);
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const float* src =
        ProductOperand(bfloat16_, g_.batch * depth_, args.Src<float>(0), args.Workspace<float>());
    Gemm<float> product = Product(src, args.Prepared<float>());
    product.c = args.Dst<float>();
    if (has_bias()) product.bias = args.Prepared<float>() + depth_ * columns_;
    MASE_RETURN_IF_ERROR(RunGemm(product));
    for (int64_t i = 0; norm_.relu && i < g_.batch * columns_; ++i) {
      args.Dst<float>()[i] = args.Dst<float>()[i] < 0 ? 0 : args.Dst<float>()[i];
    }
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    float* diff_matrix = args.Scratch<float>();
    float* diff_bias = diff_matrix + depth_ * columns_;
    const float* diff_dst =
        ProductOperand(bfloat16_, g_.batch * columns_, args.DiffDst<float>(), diff_bias + columns_);
    if (args.DiffSrc<float>(0) != nullptr) {
      MASE_RETURN_IF_ERROR(RunGemm<float>({.rows = g_.batch,
                                           .cols = depth_,
                                           .depth = columns_,
                                           .a = RowMajor(diff_dst, columns_),
                                           .b = Transposed<float>(args.Prepared<float>(), columns_),
                                           .c = args.DiffSrc<float>(0)}));
    }
    if (g_.bias >= 0 && args.DiffTensor<float>(g_.bias) != nullptr) {
      ColumnSums(diff_dst, g_.batch, columns_, diff_bias);
      float* sums = args.DiffTensor<float>(g_.bias);
      std::fill_n(sums, g_.out_channels, 0.0f);
      for (int64_t i = 0; i < columns_; ++i) {
        sums[i / (block_ * out_positions_) * block_ + i % block_] += diff_bias[i];
      }
    }
    if (args.DiffTensor<float>(g_.weight) == nullptr) return absl::OkStatus();
    const float* src = bfloat16_ ? args.Workspace<float>() : args.Src<float>(0);
    MASE_RETURN_IF_ERROR(RunGemm<float>({.rows = depth_,
                                         .cols = columns_,
                                         .depth = g_.batch,
                                         .a = Transposed(src, depth_),
                                         .b = RowMajor(diff_dst, columns_),
                                         .c = diff_matrix}));
    GatherWeights(diff_matrix, args.DiffTensor<float>(g_.weight));
    return absl::OkStatus();
  }

 private:
  bool has_bias() const { return g_.bias >= 0 || norm_.present; }

  Gemm<float> Product(const float* src, const float* weights) const {
    return {.rows = g_.batch,
            .cols = columns_,
            .depth = depth_,
            .a = RowMajor(src, depth_),
            .b = RowMajor(weights, columns_),
            .c = nullptr};
  }

  // Calls body(weights of the first result channel and its block's first input channel, first row,
  // first column) for every block of result by input channels.
  template <typename Body>
  void ForBlocks(const Body& body) const {
    const int64_t in_blocks = g_.in_channels / block_;
    ParallelFor(g_.out_channels / block_ * in_blocks, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t out = i / in_blocks, in = i % in_blocks;
        body((out * g_.in_channels + in) * block_ * taps_, in * block_ * in_positions_,
             out * block_ * out_positions_);
      }
    });
  }

  void SpreadWeights(const float* weights, float* matrix) const {
    return block_ == 16 ? SpreadBlocks<16>(weights, matrix) : SpreadBlocks<8>(weights, matrix);
  }
  void GatherWeights(const float* matrix, float* weights) const {
    return block_ == 16 ? GatherBlocks<16>(matrix, weights) : GatherBlocks<8>(matrix, weights);
  }

  // Where a block's rows of input channel i and position start.
  int64_t MatrixOffset(int64_t row, int64_t column, int64_t i, const Pair& pair) const {
    return (row + pair.in * block_ + i) * columns_ + column + pair.out * block_;
  }

  // Element (in position and channel i, out position and channel o) = W[o, i, tap].
  template <int64_t kBlock>
  void SpreadBlocks(const float* weights, float* matrix) const {
    ForBlocks([&](int64_t weight, int64_t row, int64_t column) {
      ForBestIsa([&] {
        for (int64_t i = 0; i < kBlock; ++i) {
          float taps[kMaxTaps][kBlock];
          for (const int64_t tap : used_taps_) {
            const float* from = weights + weight + i * taps_ + tap;
            for (int64_t o = 0; o < kBlock; ++o) taps[tap][o] = from[o * g_.in_channels * taps_];
          }
          for (const Pair& pair : pairs_) {
            float* to = matrix + MatrixOffset(row, column, i, pair);
            for (int64_t o = 0; o < kBlock; ++o) to[o] = taps[pair.tap][o];
          }
        }
      });
    });
  }

  // The way back, adding what a tap has for all of its pairs.
  template <int64_t kBlock>
  void GatherBlocks(const float* matrix, float* weights) const {
    ForBlocks([&](int64_t weight, int64_t row, int64_t column) {
      ForBestIsa([&] {
        float taps[kBlock * kMaxTaps][kBlock];
        std::fill_n(taps[0], kBlock * taps_ * kBlock, 0.0f);
        for (int64_t i = 0; i < kBlock; ++i) {
          for (const Pair& pair : pairs_) {
            const float* from = matrix + MatrixOffset(row, column, i, pair);
            for (int64_t o = 0; o < kBlock; ++o) taps[i * taps_ + pair.tap][o] += from[o];
          }
        }
        for (int64_t o = 0; o < kBlock; ++o) {
          float* to = weights + weight + o * g_.in_channels * taps_;
          for (int64_t i = 0; i < kBlock * taps_; ++i) to[i] = taps[i][o];
        }
      });
    });
  }

  const ConvGeometry g_;
  const ConvNorm norm_;
  const bool bfloat16_;
  const int64_t block_, in_positions_, out_positions_, taps_, depth_, columns_;
  const std::vector<Pair> pairs_;
  std::vector<int64_t> used_taps_;
};

}  // namespace

bool HasFewPositions(const KernelSpec& spec) {
  const ConvGeometry g(spec);
  const int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  const int64_t block = ChannelBlock();
  return g.groups == 1 && g.batch > 0 && in > 0 && in <= kMaxPositions && out <= kMaxPositions &&
         g.kernel[0] * g.kernel[1] <= kMaxTaps && g.in_channels % block == 0 &&
         g.out_channels % block == 0 && static_cast<int64_t>(FindPairs(g).size()) == in * out;
}

KernelOr MakeFewPositionsConv(const KernelSpec& spec) { return Make<FewPositionsConvKernel>(spec); }
KernelOr MakeFewPositionsTrainingConv(const KernelSpec& spec) {
  return Make<WithGradient<FewPositionsConvKernel>>(spec);
}

}  // namespace mase
