// convtranspose2d as plain loops: the gradient of a convolution by its input, as a layer.
//
//   y[n, o, i] = b[o] + sum of x[n, c, j] w[c, o, tap] over i = j stride - padding + tap dilation
//
// The loops are those of the convolution that maps y's shape to x's, with the same weight.
#include <algorithm>

#include "mase/base/parallel.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_taps.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// The convolution back from the result to the input.
ConvGeometry Mirrored(const KernelSpec& spec) {
  Attributes attributes = *spec.attributes;
  attributes.Set("in_channels", spec.attributes->Int("out_channels"));
  attributes.Set("out_channels", spec.attributes->Int("in_channels"));
  KernelSpec mirrored = spec;
  mirrored.attributes = &attributes;
  mirrored.srcs = {spec.dst};
  mirrored.dst = spec.srcs[0];
  return ConvGeometry(mirrored);
}

template <typename T>
class ConvTransposeKernel : public Kernel {
 public:
  explicit ConvTransposeKernel(const KernelSpec& spec) : g_(Mirrored(spec)) { reads_src_ = true; }

  absl::Status Forward(const KernelArgs& args) override {
    const int64_t plane = g_.in[0] * g_.in[1];
    ParallelFor(g_.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * g_.in_channels; i < end * g_.in_channels; ++i) {
        const T start = g_.bias < 0 ? T(0) : args.Tensor<T>(g_.bias)[i % g_.in_channels];
        std::fill_n(args.Dst<T>() + i * plane, plane, start);
      }
      ForTaps(g_, begin, end, [&](int64_t y, int64_t weight, int64_t x) {
        args.Dst<T>()[y] += args.Src<T>(0)[x] * args.Tensor<T>(g_.weight)[weight];
      });
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    if (T* diff_src = args.DiffSrc<T>(0); diff_src != nullptr) {
      std::fill_n(diff_src, g_.batch * g_.out_channels * g_.out[0] * g_.out[1], T(0));
      ParallelFor(g_.batch, 1, [&](int64_t begin, int64_t end) {
        ForTaps(g_, begin, end, [&](int64_t y, int64_t weight, int64_t x) {
          diff_src[x] += args.DiffDst<T>()[y] * args.Tensor<T>(g_.weight)[weight];
        });
      });
    }
    if (T* diff_weight = args.DiffTensor<T>(g_.weight); diff_weight != nullptr) {
      std::fill_n(diff_weight, g_.weight_elements(), T(0));
      ForTaps(g_, 0, g_.batch, [&](int64_t y, int64_t weight, int64_t x) {
        diff_weight[weight] += args.DiffDst<T>()[y] * args.Src<T>(0)[x];
      });
    }
    if (g_.bias >= 0 && args.DiffTensor<T>(g_.bias) != nullptr) {
      const int64_t plane = g_.in[0] * g_.in[1];
      for (int64_t o = 0; o < g_.in_channels; ++o) {
        double sum = 0;
        for (int64_t n = 0; n < g_.batch; ++n) {
          const T* diff = args.DiffDst<T>() + (n * g_.in_channels + o) * plane;
          for (int64_t i = 0; i < plane; ++i) sum += diff[i];
        }
        args.DiffTensor<T>(g_.bias)[o] = static_cast<T>(sum);
      }
    }
    return absl::OkStatus();
  }

 private:
  const ConvGeometry g_;  // "in" is the result, "out" the input.
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<ConvTransposeKernel<T>>>("convtranspose2d"),
  };
};

}  // namespace

std::vector<KernelEntry> ConvTransposeKernels() { return ForInference(kOps); }
std::vector<KernelEntry> ConvTransposeTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
