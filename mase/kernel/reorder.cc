// Conversion between layouts.
#include "mase/kernel/kernel.h"
#include "mase/kernel/parallel.h"

namespace mase {
namespace {

// Plain [N, C, space] to blocked [N, C/b, space, b], or back. The gradient is the way back.
template <typename T>
class ReorderKernel final : public Kernel<T> {
 public:
  ReorderKernel(const TensorDesc& src, Layout dst)
      : block_(ChannelBlock()),
        planes_(src.shape[0] * src.shape[1] / block_),
        to_blocked_(dst == Layout::kBlocked) {
    for (int i = 2; i < src.shape.rank(); ++i) space_ *= src.shape[i];
    this->src_layouts_ = {src.layout};
    this->dst_layout_ = dst;
    this->has_backward_ = true;
  }

  absl::Status Forward(const KernelArgs<T>& args) override {
    Convert(args.srcs[0], args.dst, to_blocked_);
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs<T>& args) override {
    if (args.diff_srcs[0] != nullptr) Convert(args.diff_dst, args.diff_srcs[0], !to_blocked_);
    return absl::OkStatus();
  }

 private:
  void Convert(const T* src, T* dst, bool to_blocked) const {
    ParallelFor(planes_, kElementGrain / (space_ * block_ + 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t plane = begin; plane < end; ++plane) {
                    const T* from = src + plane * block_ * space_;
                    T* to = dst + plane * block_ * space_;
                    for (int64_t c = 0; c < block_; ++c) {
                      for (int64_t i = 0; i < space_; ++i) {
                        if (to_blocked) {
                          to[i * block_ + c] = from[c * space_ + i];
                        } else {
                          to[c * space_ + i] = from[i * block_ + c];
                        }
                      }
                    }
                  }
                });
  }

  const int64_t block_, planes_;
  const bool to_blocked_;
  int64_t space_ = 1;
};

}  // namespace

template <typename T>
std::unique_ptr<Kernel<T>> MakeReorderKernel(const TensorDesc& src, Layout dst) {
  return std::make_unique<ReorderKernel<T>>(src, dst);
}

template std::unique_ptr<Kernel<float>> MakeReorderKernel(const TensorDesc&, Layout);
template std::unique_ptr<Kernel<double>> MakeReorderKernel(const TensorDesc&, Layout);

}  // namespace mase
