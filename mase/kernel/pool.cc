// Max and average pooling, with fixed or adaptive windows, over one or two axes.
//
// A pooling is two lists of windows, one along each axis, so that all kinds share one loop. Every
// layout is planes of [height, width] pixels, each of a few lanes, which are neighbours; one axis
// means height 1. Channels that are last are cut into planes of at most kMaxLanes of them.
#include <algorithm>
#include <type_traits>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/pool_windows.h"

namespace mase {
namespace {

template <typename T, int kAxes, bool kAverage>
class PoolKernel : public Kernel {
 public:
  explicit PoolKernel(const KernelSpec& spec)
      : channels_(spec.srcs[0].layout == Layout::kBlocked        ? ChannelBlock()
                  : spec.srcs[0].layout == Layout::kChannelsLast ? spec.dst.shape[1]
                                                                 : 1),
        pieces_((channels_ + kMaxLanes - 1) / kMaxLanes),
        planes_(spec.dst.shape[0] * spec.dst.shape[1] / std::max<int64_t>(channels_, 1) * pieces_),
        height_(kAxes == 2 ? spec.srcs[0].shape[2] : 1),
        width_(spec.srcs[0].shape[-1]),
        rows_(kAxes == 2 ? WindowsAlong(spec, 0, kAverage) : std::vector<Window>{{0, 1, 1}}),
        columns_(WindowsAlong(spec, kAxes - 1, kAverage)) {
    src_layouts_ = {spec.srcs[0].layout};
    dst_layout_ = spec.srcs[0].layout;
    // The positions of the maxima, as 32-bit numbers.
    if (!kAverage && spec.training) {
      workspace_bytes_ = spec.dst.elements() * static_cast<int64_t>(sizeof(int32_t));
    }
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForPlanes([&](int64_t plane) {
      const int64_t block = plane / pieces_, channel = plane % pieces_ * kMaxLanes;
      const int64_t lanes = std::min(kMaxLanes, channels_ - channel);
      const T* src = args.Src<T>(0) + block * src_block() + channel;
      const int64_t to = block * dst_block() + channel;
      int32_t* positions = workspace_bytes() == 0 ? nullptr : args.Workspace<int32_t>() + to;
      T* dst = args.Dst<T>() + to;
      ForBestIsa([&] {
        if (lanes == 1) {
          Pool(src, dst, positions, std::integral_constant<int64_t, 1>());
        } else if (lanes == kMaxLanes && positions == nullptr) {
          PoolVectors(src, dst);
        } else {
          Pool(src, dst, positions, lanes);
        }
      });
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
    // Training has no channels that are last, so that a plane is a block.
    ForPlanes([&](int64_t plane) {
      T* diff_src = args.DiffSrc<T>(0) + plane * src_block();
      const T* diff_dst = args.DiffDst<T>() + plane * dst_block();
      std::fill_n(diff_src, src_block(), T(0));
      if (kAverage) {
        ForBestIsa([&] { SpreadAverages(diff_dst, diff_src); });
        return;
      }
      const int32_t* positions = args.Workspace<int32_t>() + plane * dst_block();
      for (int64_t i = 0; i < dst_block(); i += channels_) {
        for (int64_t c = 0; c < channels_; ++c) {
          diff_src[positions[i + c] * channels_ + c] += diff_dst[i + c];
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kMaxLanes = 16;

  // Elements of all planes that share their pixels.
  int64_t src_block() const { return height_ * width_ * channels_; }
  int64_t dst_block() const {
    return static_cast<int64_t>(rows_.size() * columns_.size()) * channels_;
  }

  template <typename Body>
  void ForPlanes(const Body& body) const {
    ParallelFor(planes_, kElementGrain * pieces_ / (src_block() + 1) + 1,
                [&](int64_t begin, int64_t end) {
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
        dst += channels_;
        if (positions != nullptr) positions += channels_;
      }
    }
  }

  // The same for kMaxLanes lanes in registers, without positions.
  [[gnu::always_inline]] void PoolVectors(const T* src, T* dst) const {
    typedef T Vector
        __attribute__((vector_size(kMaxLanes * sizeof(T)), aligned(sizeof(T)), may_alias));
    const int64_t channels = channels_, width = width_;
    const auto at = [=](int64_t y, int64_t x) {
      return reinterpret_cast<const Vector*>(src + (y * width + x) * channels);
    };
    for (const Window& row : rows_) {
      for (const Window& column : columns_) {
        Vector result = {};
        if (!kAverage) result = *at(row.begin, column.begin);
        for (int64_t y = row.begin; y < row.end; ++y) {
          for (int64_t x = column.begin; x < column.end; ++x) {
            const Vector next = *at(y, x);
            if (kAverage) {
              result += next;
            } else {  // Keeps what is not less: the first maximum, and a NaN.
              const Vector rest = next == next ? result : next;
              result = next > rest ? next : rest;
            }
          }
        }
        if (kAverage) result /= Vector{} + static_cast<T>(row.divisor * column.divisor);
        *reinterpret_cast<Vector*>(dst) = result;
        dst += channels;
      }
    }
  }

  template <typename Lanes>
  [[gnu::always_inline]] void Average(const T* src, const Window& row, const Window& column, T* dst,
                                      Lanes lanes) const {
    T sums[kMaxLanes] = {};
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        const T* at = src + (y * width_ + x) * channels_;
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
      best[c] = src[first * channels_ + c];
      where[c] = first;
    }
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        const int32_t position = static_cast<int32_t>(y * width_ + x);
        const T* at = src + int64_t{position} * channels_;
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
            T* at = diff_src + (y * width_ + x) * channels_;
            for (int64_t c = 0; c < channels_; ++c) at[c] += diff_dst[c] / divisor;
          }
        }
        diff_dst += channels_;
      }
    }
  }

  const int64_t channels_;  // Of a pixel, as neighbours.
  const int64_t pieces_, planes_, height_, width_;
  const std::vector<Window> rows_, columns_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<PoolKernel<T, 1, false>>>("max_pool1d"),
      Entry<T, As<PoolKernel<T, 2, false>>>("max_pool2d"),
      Entry<T, As<PoolKernel<T, 1, true>>>("avg_pool1d"),
      Entry<T, As<PoolKernel<T, 2, true>>>("avg_pool2d"),
      Entry<T, As<PoolKernel<T, 1, false>>>("adaptive_max_pool1d"),
      Entry<T, As<PoolKernel<T, 2, false>>>("adaptive_max_pool2d"),
      Entry<T, As<PoolKernel<T, 1, true>>>("adaptive_avg_pool1d"),
      Entry<T, As<PoolKernel<T, 2, true>>>("adaptive_avg_pool2d"),
  };
};

}  // namespace

std::vector<KernelEntry> PoolKernels() { return ForInference(kOps); }
std::vector<KernelEntry> PoolTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
