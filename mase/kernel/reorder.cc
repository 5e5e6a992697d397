// Conversion between layouts.
#include <algorithm>

#include "glog/logging.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernel.h"

namespace mase {
namespace {

// Plain [N, C, space] to [N, space, C], or back. Only inference has such layouts.
template <typename T>
class ChannelsLastKernel final : public Kernel {
 public:
  ChannelsLastKernel(const TensorDesc& src, Layout dst)
      : samples_(src.shape[0]), channels_(src.shape[1]), to_last_(dst == Layout::kChannelsLast) {
    for (int i = 2; i < src.shape.rank(); ++i) space_ *= src.shape[i];
    src_layouts_ = {src.layout};
    dst_layout_ = dst;
  }

  absl::Status Forward(const KernelArgs& args) override {
    // A matrix transposed, by blocks of rows.
    constexpr int64_t kBlock = 16;
    const int64_t rows = to_last_ ? channels_ : space_, cols = to_last_ ? space_ : channels_;
    const int64_t blocks = (rows + kBlock - 1) / kBlock;
    const T* src = args.Src<T>(0);
    T* dst = args.Dst<T>();
    ParallelFor(samples_ * blocks, kElementGrain / (kBlock * cols + 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t first = i % blocks * kBlock;
                    const int64_t last = std::min(first + kBlock, rows);
                    const int64_t sample = i / blocks * rows * cols;
                    for (int64_t col = 0; col < cols; ++col) {
                      for (int64_t row = first; row < last; ++row) {
                        dst[sample + col * rows + row] = src[sample + row * cols + col];
                      }
                    }
                  }
                });
    return absl::OkStatus();
  }

 private:
  const int64_t samples_, channels_;
  const bool to_last_;
  int64_t space_ = 1;
};

template <typename T>
std::unique_ptr<Kernel> MakeChannelsLast(const TensorDesc& src, Layout dst) {
  return std::make_unique<ChannelsLastKernel<T>>(src, dst);
}

// Plain [N, C, space] to blocked [N, C/b, space, b], or back. The gradient is the way back.
template <typename T>
class ReorderKernel final : public Kernel {
 public:
  ReorderKernel(const TensorDesc& src, Layout dst)
      : block_(ChannelBlock()),
        planes_(src.shape[0] * src.shape[1] / block_),
        to_blocked_(dst == Layout::kBlocked) {
    for (int i = 2; i < src.shape.rank(); ++i) space_ *= src.shape[i];
    src_layouts_ = {src.layout};
    dst_layout_ = dst;
    has_backward_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    Convert(args.Src<T>(0), args.Dst<T>(), to_blocked_);
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    if (args.DiffSrc<T>(0) != nullptr) Convert(args.DiffDst<T>(), args.DiffSrc<T>(0), !to_blocked_);
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

// Blocked [N, C/b, space, b] to [N, space, C], or back; in inference.
class BlocksToLastKernel final : public Kernel {
 public:
  BlocksToLastKernel(const TensorDesc& src, Layout dst)
      : block_(ChannelBlock()),
        samples_(src.shape[0]),
        blocks_(src.shape[1] / block_),
        to_last_(dst == Layout::kChannelsLast) {
    for (int i = 2; i < src.shape.rank(); ++i) space_ *= src.shape[i];
    src_layouts_ = {src.layout};
    dst_layout_ = dst;
  }

  absl::Status Forward(const KernelArgs& args) override {
    const float* src = args.Src<float>(0);
    float* dst = args.Dst<float>();
    const int64_t plane = space_ * block_;
    ParallelFor(samples_ * blocks_, kElementGrain / (plane + 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t last = (i / blocks_ * space_ * blocks_ + i % blocks_) * block_;
                    for (int64_t at = 0; at < space_; ++at) {
                      const int64_t blocked = i * plane + at * block_;
                      const int64_t pixel = last + at * blocks_ * block_;
                      std::copy_n(src + (to_last_ ? blocked : pixel), block_,
                                  dst + (to_last_ ? pixel : blocked));
                    }
                  }
                });
    return absl::OkStatus();
  }

 private:
  const int64_t block_, samples_, blocks_;
  const bool to_last_;
  int64_t space_ = 1;
};

}  // namespace

std::unique_ptr<Kernel> MakeReorderKernel(const TensorDesc& src, Layout dst) {
  if (src.layout != Layout::kPlain && dst != Layout::kPlain) {
    return std::make_unique<BlocksToLastKernel>(src, dst);
  }
  if (src.layout == Layout::kChannelsLast || dst == Layout::kChannelsLast) {
    switch (src.dtype) {
      case DType::kUInt8:
        return MakeChannelsLast<uint8_t>(src, dst);
      case DType::kInt32:
        return MakeChannelsLast<int32_t>(src, dst);
      default:
        return MakeChannelsLast<float>(src, dst);
    }
  }
  if (src.dtype == DType::kFloat64) return std::make_unique<ReorderKernel<double>>(src, dst);
  CHECK(src.dtype == DType::kFloat32) << "only floats have blocked layouts";
  return std::make_unique<ReorderKernel<float>>(src, dst);
}

}  // namespace mase
