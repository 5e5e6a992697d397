// Max and average pooling, with fixed or adaptive windows, over one or two axes.
//
// A pooling is two lists of windows, one along each axis, so that all kinds share one loop. Both
// layouts are [planes, height, width, lanes]; one axis means height 1.
#include <algorithm>
#include <type_traits>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/pool_windows.h"

namespace mase {
namespace {

template <typename T, int kAxes, bool kAverage>
class PoolKernel final : public Kernel {
 public:
  explicit PoolKernel(const KernelSpec& spec)
      : lanes_(spec.srcs[0].layout == Layout::kBlocked ? ChannelBlock() : 1),
        planes_(spec.dst.shape[0] * spec.dst.shape[1] / lanes_),
        height_(kAxes == 2 ? spec.srcs[0].shape[2] : 1),
        width_(spec.srcs[0].shape[-1]),
        rows_(kAxes == 2 ? WindowsAlong(spec, 0, kAverage) : std::vector<Window>{{0, 1, 1}}),
        columns_(WindowsAlong(spec, kAxes - 1, kAverage)) {
    src_layouts_ = {spec.srcs[0].layout};
    dst_layout_ = spec.srcs[0].layout;
    has_backward_ = true;
    // The positions of the maxima, as 32-bit numbers.
    if (!kAverage && spec.training) {
      workspace_bytes_ = spec.dst.elements() * static_cast<int64_t>(sizeof(int32_t));
    }
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForPlanes([&](int64_t plane) {
      const T* src = args.Src<T>(0) + plane * src_plane();
      T* dst = args.Dst<T>() + plane * dst_plane();
      int32_t* positions =
          workspace_bytes() == 0 ? nullptr : args.Workspace<int32_t>() + plane * dst_plane();
      ForBestIsa([&] {
        if (lanes_ == 1) {
          Pool(src, dst, positions, std::integral_constant<int64_t, 1>());
        } else {
          Pool(src, dst, positions, lanes_);
        }
      });
    });
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
    ForPlanes([&](int64_t plane) {
      T* diff_src = args.DiffSrc<T>(0) + plane * src_plane();
      const T* diff_dst = args.DiffDst<T>() + plane * dst_plane();
      std::fill_n(diff_src, src_plane(), T(0));
      if (kAverage) {
        ForBestIsa([&] { SpreadAverages(diff_dst, diff_src); });
        return;
      }
      const int32_t* positions = args.Workspace<int32_t>() + plane * dst_plane();
      for (int64_t i = 0; i < dst_plane(); i += lanes_) {
        for (int64_t c = 0; c < lanes_; ++c) {
          diff_src[positions[i + c] * lanes_ + c] += diff_dst[i + c];
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kMaxLanes = 16;

  int64_t src_plane() const { return height_ * width_ * lanes_; }
  int64_t dst_plane() const {
    return static_cast<int64_t>(rows_.size() * columns_.size()) * lanes_;
  }

  template <typename Body>
  void ForPlanes(const Body& body) const {
    ParallelFor(planes_, kElementGrain / (src_plane() + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) body(plane);
    });
  }

  // `lanes` is a constant where there is one: loops over lanes are none then.
  template <typename Lanes>
  [[gnu::always_inline]] void Pool(const T* src, T* dst, int32_t* positions, Lanes lanes) const {
    for (const Window& row : rows_) {
      for (const Window& column : columns_) {
        if (kAverage) {
          Average(src, row, column, dst, lanes);
        } else {
          Maximum(src, row, column, dst, positions, lanes);
        }
        dst += lanes;
        if (positions != nullptr) positions += lanes;
      }
    }
  }

  template <typename Lanes>
  [[gnu::always_inline]] void Average(const T* src, const Window& row, const Window& column, T* dst,
                                      Lanes lanes) const {
    T sums[kMaxLanes] = {};
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        const T* at = src + (y * width_ + x) * lanes;
        for (int64_t c = 0; c < lanes; ++c) sums[c] += at[c];
      }
    }
    const T divisor = static_cast<T>(row.divisor * column.divisor);
    for (int64_t c = 0; c < lanes; ++c) dst[c] = sums[c] / divisor;
  }

  // The first maximum wins; a NaN wins over all.
  template <typename Lanes>
  [[gnu::always_inline]] void Maximum(const T* src, const Window& row, const Window& column, T* dst,
                                      int32_t* positions, Lanes lanes) const {
    T best[kMaxLanes];
    int32_t where[kMaxLanes];
    const int32_t first = static_cast<int32_t>(row.begin * width_ + column.begin);
    for (int64_t c = 0; c < lanes; ++c) {
      best[c] = src[first * lanes + c];
      where[c] = first;
    }
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        const int32_t position = static_cast<int32_t>(y * width_ + x);
        const T* at = src + position * lanes;
        for (int64_t c = 0; c < lanes; ++c) {
          const bool better = at[c] > best[c] || at[c] != at[c];
          best[c] = better ? at[c] : best[c];
          where[c] = better ? position : where[c];
        }
      }
    }
    for (int64_t c = 0; c < lanes; ++c) dst[c] = best[c];
    if (positions != nullptr) std::copy_n(where, int64_t{lanes}, positions);
  }

  [[gnu::always_inline]] void SpreadAverages(const T* diff_dst, T* diff_src) const {
    for (const Window& row : rows_) {
      for (const Window& column : columns_) {
        const T divisor = static_cast<T>(row.divisor * column.divisor);
        for (int64_t y = row.begin; y < row.end; ++y) {
          for (int64_t x = column.begin; x < column.end; ++x) {
            T* at = diff_src + (y * width_ + x) * lanes_;
            for (int64_t c = 0; c < lanes_; ++c) at[c] += diff_dst[c] / divisor;
          }
        }
        diff_dst += lanes_;
      }
    }
  }

  const int64_t lanes_, planes_, height_, width_;
  const std::vector<Window> rows_, columns_;
};

}  // namespace

std::vector<KernelEntry> PoolKernels() {
  return ForFloats([]<typename T>() -> std::vector<KernelEntry> {
    return {
        Entry<T, PoolKernel<T, 1, false>>("max_pool1d"),
        Entry<T, PoolKernel<T, 2, false>>("max_pool2d"),
        Entry<T, PoolKernel<T, 1, true>>("avg_pool1d"),
        Entry<T, PoolKernel<T, 2, true>>("avg_pool2d"),
        Entry<T, PoolKernel<T, 1, false>>("adaptive_max_pool1d"),
        Entry<T, PoolKernel<T, 2, false>>("adaptive_max_pool2d"),
        Entry<T, PoolKernel<T, 1, true>>("adaptive_avg_pool1d"),
        Entry<T, PoolKernel<T, 2, true>>("adaptive_avg_pool2d"),
    };
  });
}

}  // namespace mase
