// dropout in training: y = x * factors (dropout.h). In inference it is no kernel, but an alias.
#include "mase/kernel/dropout.h"

#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

template <typename T>
class DropoutKernel : public Kernel {
 public:
  explicit DropoutKernel(const KernelSpec& spec)
      : p_(spec.attributes->Float("p")), stream_(spec.stream), elements_(spec.dst.elements()) {
    src_layouts_ = {spec.srcs[0].layout};
    dst_layout_ = spec.srcs[0].layout;
    in_place_ = true;
    workspace_bytes_ = elements_ * static_cast<int64_t>(sizeof(T));  // The factors.
  }

  absl::Status Forward(const KernelArgs& args) override {
    const DropoutFactors<T> factors(p_, StreamSeed(args.seed, stream_));
    ParallelFor(elements_, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T factor = factors[i];
        args.Workspace<T>()[i] = factor;
        args.Dst<T>()[i] = args.Src<T>(0)[i] * factor;
      }
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
    for (int64_t i = 0; i < elements_; ++i) {
      args.DiffSrc<T>(0)[i] = args.DiffDst<T>()[i] * args.Workspace<T>()[i];
    }
    return absl::OkStatus();
  }

 private:
  const double p_;
  const uint64_t stream_;
  const int64_t elements_;
};

}  // namespace

std::vector<KernelEntry> DropoutTrainingKernels() {
  return ForTraining([]<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
    return {Entry<T, As<DropoutKernel<T>>>("dropout")};
  });
}

}  // namespace mase
