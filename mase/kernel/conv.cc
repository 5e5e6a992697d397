// conv1d and conv2d as plain loops, for double. Float runs on oneDNN: conv_onednn.cc; in tiles
// where results are few; or, with few positions, as a matrix product.
#include <algorithm>

#include "mase/base/parallel.h"
#include "mase/kernel/conv_few_positions.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_onednn.h"
#include "mase/kernel/conv_taps.h"
#include "mase/kernel/conv_tiles.h"
#include "mase/kernel/exact_sums.h"
#include "mase/kernel/kernels.h"

namespace mase {

namespace {

class PlainConvKernel final : public Kernel {
 public:
  explicit PlainConvKernel(const KernelSpec& spec) : g_(spec) {
    has_backward_ = true;
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    const int64_t plane = g_.out[0] * g_.out[1];
    for (int64_t i = 0; i < g_.batch * g_.out_channels; ++i) {
      const double start = g_.bias < 0 ? 0.0 : args.Tensor<double>(g_.bias)[i % g_.out_channels];
      std::fill_n(args.Dst<double>() + i * plane, plane, start);
    }
    ForTaps(g_, 0, g_.batch, [&](int64_t src, int64_t weight, int64_t dst) {
      args.Dst<double>()[dst] += args.Src<double>(0)[src] * args.Tensor<double>(g_.weight)[weight];
    });
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    double* diff_src = args.DiffSrc<double>(0);
    double* diff_weight = args.DiffTensor<double>(g_.weight);
    if (diff_src != nullptr) {
      std::fill_n(diff_src, g_.batch * g_.in_channels * g_.in[0] * g_.in[1], 0.0);
    }
    if (diff_weight != nullptr) std::fill_n(diff_weight, g_.weight_elements(), 0.0);
    ForTaps(g_, 0, g_.batch, [&](int64_t src, int64_t weight, int64_t dst) {
      const double diff = args.DiffDst<double>()[dst];
      if (diff_src != nullptr) diff_src[src] += diff * args.Tensor<double>(g_.weight)[weight];
      if (diff_weight != nullptr) diff_weight[weight] += diff * args.Src<double>(0)[src];
    });
    if (g_.bias >= 0 && args.DiffTensor<double>(g_.bias) != nullptr) {
      double* diff_bias = args.DiffTensor<double>(g_.bias);
      std::fill_n(diff_bias, g_.out_channels, 0.0);
      const int64_t plane = g_.out[0] * g_.out[1];
      for (int64_t i = 0; i < g_.batch * g_.out_channels * plane; ++i) {
        diff_bias[i / plane % g_.out_channels] += args.DiffDst<double>()[i];
      }
    }
    return absl::OkStatus();
  }

 private:
  const ConvGeometry g_;
};

KernelOr MakeConv(const KernelSpec& spec) {
  if (NeedsExactSums(spec)) return MakeExactConv(spec);
  if (PrefersTiles(spec)) return MakeTiledConv(spec);
  return HasFewPositions(spec) ? MakeFewPositionsConv(spec) : MakeOneDnnConv(spec);
}

KernelOr MakeTrainingConv(const KernelSpec& spec) {
  if (!spec.training) return MakeConv(spec);
  return HasFewPositions(spec) ? MakeFewPositionsTrainingConv(spec) : MakeOneDnnTrainingConv(spec);
}

}  // namespace

std::vector<KernelEntry> ConvKernels() {
  return {{"conv1d", DType::kFloat32, MakeConv},
          {"conv2d", DType::kFloat32, MakeConv},
          {"conv_batch_norm", DType::kFloat32, MakeConv}};
}
std::vector<KernelEntry> ConvTrainingKernels() {
  return {{"conv1d", DType::kFloat32, MakeTrainingConv},
          {"conv2d", DType::kFloat32, MakeTrainingConv},
          Entry<double, PlainConvKernel>("conv1d"),
          Entry<double, PlainConvKernel>("conv2d")};
}

}  // namespace mase
