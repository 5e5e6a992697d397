// conv1d and conv2d as plain loops, for double. Float runs on oneDNN: conv_onednn.cc.
#include <algorithm>

#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_onednn.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/parallel.h"

namespace mase {

ConvGeometry::ConvGeometry(const KernelSpec& spec)
    : batch(spec.dst[0]),
      in_channels(spec.attributes->Int("in_channels")),
      out_channels(spec.attributes->Int("out_channels")),
      groups(spec.attributes->Int("groups")),
      weight(spec.TensorIndex("weight")),
      bias(spec.TensorIndex("bias")) {
  const int axes = spec.dst.rank() - 2;
  for (int i = 0; i < 2; ++i) {
    const int axis = i - (2 - axes);  // Among the op's own; -1 for a height that it lacks.
    const bool present = axis >= 0;
    const auto attribute = [&](const char* name, int64_t absent) {
      return present ? spec.attributes->Ints(name)[axis] : absent;
    };
    in[i] = present ? spec.srcs[0].shape[2 + axis] : 1;
    out[i] = present ? spec.dst[2 + axis] : 1;
    kernel[i] = attribute("kernel_size", 1);
    stride[i] = attribute("stride", 1);
    padding[i] = attribute("padding", 0);
    dilation[i] = attribute("dilation", 1);
  }
}

namespace {

class PlainConvKernel final : public Kernel<double> {
 public:
  explicit PlainConvKernel(const KernelSpec& spec) : g_(spec) {
    has_backward_ = true;
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs<double>& args) override {
    const int64_t plane = g_.out[0] * g_.out[1];
    for (int64_t i = 0; i < g_.batch * g_.out_channels; ++i) {
      const double start = g_.bias < 0 ? 0.0 : args.tensors[g_.bias][i % g_.out_channels];
      std::fill_n(args.dst + i * plane, plane, start);
    }
    ForTaps([&](int64_t src, int64_t weight, int64_t dst) {
      args.dst[dst] += args.srcs[0][src] * args.tensors[g_.weight][weight];
    });
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs<double>& args) override {
    double* diff_src = args.diff_srcs[0];
    double* diff_weight = args.diff_tensors[g_.weight];
    if (diff_src != nullptr) {
      std::fill_n(diff_src, g_.batch * g_.in_channels * g_.in[0] * g_.in[1], 0.0);
    }
    if (diff_weight != nullptr) std::fill_n(diff_weight, g_.weight_elements(), 0.0);
    ForTaps([&](int64_t src, int64_t weight, int64_t dst) {
      const double diff = args.diff_dst[dst];
      if (diff_src != nullptr) diff_src[src] += diff * args.tensors[g_.weight][weight];
      if (diff_weight != nullptr) diff_weight[weight] += diff * args.srcs[0][src];
    });
    if (g_.bias >= 0 && args.diff_tensors[g_.bias] != nullptr) {
      double* diff_bias = args.diff_tensors[g_.bias];
      std::fill_n(diff_bias, g_.out_channels, 0.0);
      const int64_t plane = g_.out[0] * g_.out[1];
      for (int64_t i = 0; i < g_.batch * g_.out_channels * plane; ++i) {
        diff_bias[i / plane % g_.out_channels] += args.diff_dst[i];
      }
    }
    return absl::OkStatus();
  }

 private:
  // Calls body(offset in src, in weight, in dst) for every multiplication.
  template <typename Body>
  void ForTaps(const Body& body) const {
    const int64_t group_in = g_.in_channels / g_.groups;
    const int64_t group_out = g_.out_channels / g_.groups;
    int64_t dst = 0;
    for (int64_t n = 0; n < g_.batch; ++n) {
      for (int64_t o = 0; o < g_.out_channels; ++o) {
        const int64_t first_in = n * g_.in_channels + o / group_out * group_in;
        for (int64_t y = 0; y < g_.out[0]; ++y) {
          for (int64_t x = 0; x < g_.out[1]; ++x, ++dst) {
            ForWindow(first_in, group_in, o, y, x, dst, body);
          }
        }
      }
    }
  }

  template <typename Body>
  void ForWindow(int64_t first_in, int64_t group_in, int64_t o, int64_t y, int64_t x, int64_t dst,
                 const Body& body) const {
    for (int64_t i = 0; i < group_in; ++i) {
      for (int64_t ky = 0; ky < g_.kernel[0]; ++ky) {
        const int64_t sy = y * g_.stride[0] - g_.padding[0] + ky * g_.dilation[0];
        if (sy < 0 || sy >= g_.in[0]) continue;
        for (int64_t kx = 0; kx < g_.kernel[1]; ++kx) {
          const int64_t sx = x * g_.stride[1] - g_.padding[1] + kx * g_.dilation[1];
          if (sx < 0 || sx >= g_.in[1]) continue;
          body(((first_in + i) * g_.in[0] + sy) * g_.in[1] + sx,
               ((o * group_in + i) * g_.kernel[0] + ky) * g_.kernel[1] + kx, dst);
        }
      }
    }
  }

  const ConvGeometry g_;
};

}  // namespace

template <>
std::vector<KernelEntry<double>> ConvKernels() {
  return {{"conv1d", Make<double, PlainConvKernel>}, {"conv2d", Make<double, PlainConvKernel>}};
}

template <>
std::vector<KernelEntry<float>> ConvKernels() {
  return {{"conv1d", MakeOneDnnConv},
          {"conv2d", MakeOneDnnConv},
          {"conv_batch_norm", MakeOneDnnConv}};
}

}  // namespace mase
