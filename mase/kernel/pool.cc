// Max and average pooling, with fixed or adaptive windows, over one or two axes.
//
// A pooling is two lists of windows, one along each axis, so that all kinds share one loop. Every
// layout is planes of [height, width] pixels, each of a few lanes, which are neighbours; one axis
// means height 1. Channels that are last are cut into planes of at most kMaxLanes of them. Where a
// pixel has one lane, neighbouring windows of a row take the lanes.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/pool_windows.h"

namespace mase {
namespace {

template <typename T, bool kAverage>
class PoolKernel : public Kernel {
 public:
  explicit PoolKernel(const KernelSpec& spec)
      : channels_(spec.srcs[0].layout == Layout::kBlocked        ? ChannelBlock()
                  : spec.srcs[0].layout == Layout::kChannelsLast ? spec.dst.shape[1]
                                                                 : 1),
        pieces_((channels_ + kMaxLanes - 1) / kMaxLanes),
        planes_(spec.dst.shape[0] * spec.dst.shape[1] / std::max<int64_t>(channels_, 1) * pieces_),
        height_(Axes(spec) == 2 ? spec.srcs[0].shape[2] : 1),
        width_(spec.srcs[0].shape[-1]),
        rows_(Axes(spec) == 2 ? WindowsAlong(spec, 0, kAverage) : std::vector<Window>{{0, 1, 1}}),
        columns_(WindowsAlong(spec, Axes(spec) - 1, kAverage)),
        run_(channels_ == 1 ? RunOf(columns_) : Run()) {
    best_isa_ = true;
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
        if (channels_ == 1) {
          PoolRows(src, dst, positions);
        } else if (lanes == kMaxLanes) {
          PoolVectors(src, dst, positions);
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

  // Over which windows move: all but samples and channels.
  static int Axes(const KernelSpec& spec) { return spec.srcs[0].shape.rank() - 2; }

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

  // The same for kMaxLanes lanes.
  [[gnu::always_inline]] void PoolVectors(const T* src, T* dst, int32_t* positions) const {
    for (const Window& row : rows_) {
      for (const Window& column : columns_) {
        PoolVector<kMaxLanes, 0>(src, row, column, dst, positions);
        dst += channels_;
        if (positions != nullptr) positions += channels_;
      }
    }
  }

  // Windows first to end of a row that are alike and `stride` apart.
  struct Run {
    size_t first = 0, end = 0;
    int64_t stride = 1;
    size_t size() const { return end - first; }
  };

  // The longest of the strides that PoolRows knows.
  static Run RunOf(const std::vector<Window>& windows) {
    Run longest;
    for (const int64_t stride : {1, 2}) {
      Run run = {0, 0, stride};
      for (size_t i = 0; i < windows.size(); ++i) {
        const Window &before = windows[i > 0 ? i - 1 : 0], &window = windows[i];
        const bool goes_on = i > run.first && window.begin - before.begin == stride &&
                             window.end - before.end == stride && window.divisor == before.divisor;
        if (!goes_on) run.first = i;
        run.end = i + 1;
        if (run.size() > longest.size()) longest = run;
      }
    }
    return longest;
  }

  // One lane a pixel: as many windows of a row at once as the run has.
  [[gnu::always_inline]] void PoolRows(const T* src, T* dst, int32_t* positions) const {
    if (run_.size() >= 16) return PoolRows<16>(src, dst, positions);
    if (run_.size() >= 8) return PoolRows<8>(src, dst, positions);
    if (run_.size() >= 4) return PoolRows<4>(src, dst, positions);
    Pool(src, dst, positions, std::integral_constant<int64_t, 1>());
  }

  template <int64_t kCount>
  [[gnu::always_inline]] void PoolRows(const T* src, T* dst, int32_t* positions) const {
    if (run_.stride == 2) return PoolRows<kCount, 2>(src, dst, positions);
    PoolRows<kCount, 1>(src, dst, positions);
  }

  // The last windows of the run go back over some of those before them.
  template <int64_t kCount, int64_t kStride>
  [[gnu::always_inline]] void PoolRows(const T* src, T* dst, int32_t* positions) const {
    constexpr std::integral_constant<int64_t, 1> kOne;
    for (const Window& row : rows_) {
      for (size_t i = 0; i < columns_.size();) {
        const bool alike = i >= run_.first && i < run_.end;
        const size_t at = alike ? std::min<size_t>(i, run_.end - kCount) : i;
        int32_t* where = positions == nullptr ? nullptr : positions + at;
        if (alike) {
          PoolVector<kCount, kStride>(src, row, columns_[at], dst + at, where);
        } else if (kAverage) {
          Average(src, row, columns_[at], dst + at, kOne);
        } else {
          Maximum(src, row, columns_[at], dst + at, where, kOne);
        }
        i = at + (alike ? kCount : 1);
      }
      dst += columns_.size();
      if (positions != nullptr) positions += columns_.size();
    }
  }

  // Elements 0, 2, 4 ... of a, then 1, 3, 5 ... of b.
  template <typename Vector, size_t... kIndices>
  [[gnu::always_inline]] static void PickEverySecond(Vector& a, const Vector& b,
                                                     std::index_sequence<kIndices...>) {
    constexpr size_t kHalf = sizeof...(kIndices) / 2;
    a = __builtin_shufflevector(a, b, (2 * kIndices + (kIndices < kHalf ? 0 : 1))...);
  }

  // kCount lanes in registers: neighbours that share their pixels (kMoves is 0), or windows that
  // are kMoves pixels apart, the first of which is `column`.
  template <int64_t kCount, int64_t kMoves>
  [[gnu::always_inline]] void PoolVector(const T* src, const Window& row, const Window& column,
                                         T* dst, int32_t* positions) const {
    typedef T Vector __attribute__((vector_size(kCount * sizeof(T))));
    typedef int32_t Positions __attribute__((vector_size(kCount * sizeof(int32_t))));
    using Mask = decltype(Vector{} > Vector{});
    Mask lanes = {};
    for (int64_t i = 0; i < kCount; ++i) lanes[i] = i * kMoves;
    // Every second element is picked from two vectors that end where the last one lies.
    const auto load = [&](int64_t position, Vector& elements) {
      const T* first = src + position * channels_;
      std::memcpy(&elements, first, sizeof(elements));
      if constexpr (kMoves == 2) {
        Vector behind;
        std::memcpy(&behind, first + kCount - 1, sizeof(behind));
        PickEverySecond(elements, behind, std::make_index_sequence<kCount>());
      }
    };
    const int64_t begin = row.begin * width_ + column.begin;
    Vector result = {};
    if (!kAverage) load(begin, result);
    using Lane = std::decay_t<decltype(lanes[0])>;
    Mask where = lanes + static_cast<Lane>(begin);
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        const int64_t position = y * width_ + x;
        Vector next;
        load(position, next);
        if (kAverage) {
          result += next;
          continue;
        }
        if (positions != nullptr) {
          const Mask here = lanes + static_cast<Lane>(position);
          where = next > result ? here : where;
          where = next == next ? where : here;
        }
        // Keeps what is not less: the first maximum, and a NaN.
        const Vector rest = next == next ? result : next;
        result = next > rest ? next : rest;
      }
    }
    if (kAverage) result /= Vector{} + static_cast<T>(row.divisor * column.divisor);
    std::memcpy(dst, &result, sizeof(result));
    if (positions == nullptr) return;
    const Positions found = __builtin_convertvector(where, Positions);
    std::memcpy(positions, &found, sizeof(found));
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
  const Run run_;  // Of columns, where a pixel has one lane.
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<PoolKernel<T, false>>>("max_pool1d"),
      Entry<T, As<PoolKernel<T, false>>>("max_pool2d"),
      Entry<T, As<PoolKernel<T, true>>>("avg_pool1d"),
      Entry<T, As<PoolKernel<T, true>>>("avg_pool2d"),
      Entry<T, As<PoolKernel<T, false>>>("adaptive_max_pool1d"),
      Entry<T, As<PoolKernel<T, false>>>("adaptive_max_pool2d"),
      Entry<T, As<PoolKernel<T, true>>>("adaptive_avg_pool1d"),
      Entry<T, As<PoolKernel<T, true>>>("adaptive_avg_pool2d"),
  };
};

}  // namespace

std::vector<KernelEntry> PoolKernels() { return ForInference(kOps); }
std::vector<KernelEntry> PoolTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
