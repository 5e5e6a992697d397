// Steps on codes that multiply no weights:
//
//   "convert"             an epilogue by itself (epilogue.h): encode, decode, relu, a batch
//                         norm in front of an encode, and what is fused behind them
//   "integer_arithmetic"  add, sub and mul of two tensors of codes
//   "integer_pool"        maxima and averages of windows
//
// A sum, difference or product of codes, or a window's sum, is exact in an int32, and rounded once
// to float32 before what follows.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "absl/strings/match.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/broadcast.h"
#include "mase/kernel/integer/epilogue.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/pool_windows.h"

namespace mase {
namespace {

constexpr int64_t kLanes = kEpilogueLanes;

// 16 elements, of which the first n are there.
template <typename T>
[[gnu::always_inline]] inline auto LoadLanes(const T* src, int64_t n) {
  typedef T V __attribute__((vector_size(kLanes * sizeof(T))));
  V v = {};
  if (n >= kLanes) {
    __builtin_memcpy(&v, src, sizeof(v));
  } else {
    T lanes[kLanes] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = src[i];
    __builtin_memcpy(&v, lanes, sizeof(v));
  }
  return v;
}

// The numbers of 16 codes, or of numbers themselves.
template <typename T>
[[gnu::always_inline]] inline EpilogueFloats LoadNumbers(const T* src, int64_t n, int32_t zero,
                                                         float scale) {
  if constexpr (std::is_same_v<T, float>) {
    return LoadLanes(src, n);
  } else {
    const EpilogueInts steps = __builtin_convertvector(LoadLanes(src, n), EpilogueInts) - zero;
    return __builtin_convertvector(steps, EpilogueFloats) * scale;
  }
}

// Calls body(pointer to codes or numbers) with the type that `desc` says they have.
template <typename Body>
auto WithElements(const TensorDesc& desc, const void* data, const Body& body) {
  if (!desc.codes.has_value()) return body(static_cast<const float*>(data));
  if (desc.codes->is_byte()) return body(static_cast<const uint8_t*>(data));
  return body(static_cast<const int32_t*>(data));
}

// Where the channel of a tensor's element is, as rows of neighbours.
struct Rows {
  int64_t count, length;
  bool by_lane;  // A row's elements are channels; else a row is of one channel.
  int64_t channels;

  Rows(const Shape& shape, Layout layout, bool has_channels) {
    channels = has_channels ? shape[1] : 1;
    const int64_t space =
        shape.rank() > 2 ? shape.elements() / std::max<int64_t>(shape[0] * shape[1], 1) : 1;
    by_lane = has_channels && (layout == Layout::kChannelsLast || space == 1);
    length = !has_channels ? 4096 : by_lane ? channels : space;
    count = length == 0 ? 0 : (shape.elements() + length - 1) / length;
  }
};

bool HasNorm(const KernelSpec& spec) {
  const auto is_norm = [](absl::string_view op) {
    return op == "batch_norm1d" || op == "batch_norm2d";
  };
  if (is_norm(spec.op)) return true;
  return std::any_of(spec.fused.begin(), spec.fused.end(),
                     [&](const FusedOp& op) { return is_norm(op.op); });
}

Layout OwnLayout(Layout layout) {
  return layout == Layout::kChannelsLast ? layout : Layout::kPlain;
}

class ConvertKernel final : public Kernel {
 public:
  explicit ConvertKernel(const KernelSpec& spec)
      : src_(spec.srcs[0]),
        elements_(spec.dst.elements()),
        has_norm_(HasNorm(spec)),
        epilogue_(spec, has_norm_ ? spec.dst.shape[1] : 1),
        rows_(spec.dst.shape, OwnLayout(spec.srcs[0].layout), has_norm_) {
    src_layouts_ = {OwnLayout(spec.srcs[0].layout)};
    dst_layout_ = src_layouts_[0];
    prepared_bytes_ = has_norm_ ? (epilogue_.prepared_floats() + kLanes) * 4 : 0;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    MASE_RETURN_IF_ERROR(epilogue_.Prepare(args, args.Prepared<float>()));
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop loop = epilogue_.MakeLoop(args.Prepared<float>());
    const bool checks = !src_.codes.has_value() && epilogue_.refuses_nan();
    std::atomic<bool> has_nan = false;
    WithElements(src_, args.srcs[0], [&](const auto* src) {
      ParallelFor(rows_.count, kElementGrain / std::max<int64_t>(rows_.length, 1) + 1,
                  [&](int64_t begin, int64_t end) {
                    if (checks && HasNan(src, begin * rows_.length,
                                         std::min(end * rows_.length, elements_))) {
                      has_nan = true;
                      return;
                    }
                    if (rows_.by_lane) {
                      Run<true>(src, args.dst, loop, begin, end);
                    } else {
                      Run<false>(src, args.dst, loop, begin, end);
                    }
                  });
    });
    if (!has_nan) return absl::OkStatus();
    return absl::OutOfRangeError(
        "reads a NaN, for which the format has no code; run the net simulated, or clean the data");
  }

 private:
  template <typename T>
  static bool HasNan(const T* src, int64_t begin, int64_t end) {
    if constexpr (!std::is_same_v<T, float>) return false;
    int found = 0;
    ForBestIsa([&] {
      int nan = 0;
      for (int64_t i = begin; i < end; ++i) nan |= src[i] != src[i];
      found = nan;
    });
    return found != 0;
  }

  template <bool kByLane, typename T>
  void Run(const T* src, void* dst, const Epilogue::Loop& loop, int64_t begin, int64_t end) const {
    const int32_t zero = src_.codes.has_value() ? src_.codes->zero : 0;
    const float scale = src_.codes.has_value() ? src_.codes->scale : 1;
    const bool bytes = epilogue_.stores_bytes();
    const Rows rows = rows_;
    const int64_t elements = elements_;
    ForBestIsa([=] {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row * rows.length;
        const int64_t length = std::min(rows.length, elements - first);
        for (int64_t i = 0; i < length; i += kLanes) {
          const int64_t channel = kByLane ? i : row % rows.channels;
          const EpilogueFloats x =
              loop.Apply<kByLane>(LoadNumbers(src + first + i, length - i, zero, scale), channel);
          loop.Store(x, dst, first + i, length - i, bytes);
        }
      }
    });
  }

  const TensorDesc src_;
  const int64_t elements_;
  const bool has_norm_;
  const Epilogue epilogue_;
  const Rows rows_;
};

class ArithmeticKernel final : public Kernel {
 public:
  explicit ArithmeticKernel(const KernelSpec& spec)
      : op_(spec.op == "add"   ? kAdd
            : spec.op == "sub" ? kSub
                               : kMul),
        a_(spec.srcs[0]),
        b_(spec.srcs[1]),
        // Both operands of a sum have one scale.
        scale_(op_ == kMul ? a_.codes->scale * b_.codes->scale : a_.codes->scale),
        same_shape_(a_.shape == b_.shape),
        broadcast_(a_.shape, b_.shape, spec.dst.shape),
        elements_(spec.dst.elements()),
        has_norm_(HasNorm(spec)),
        epilogue_(spec, has_norm_ ? spec.dst.shape[1] : 1),
        rows_(spec.dst.shape,
              same_shape_ && a_.layout == Layout::kChannelsLast ? a_.layout : Layout::kPlain,
              has_norm_) {
    const bool channels_last = same_shape_ && (a_.layout == Layout::kChannelsLast);
    const Layout layout = channels_last ? Layout::kChannelsLast : Layout::kPlain;
    src_layouts_ = {layout, layout};
    dst_layout_ = layout;
    prepared_bytes_ = has_norm_ ? (epilogue_.prepared_floats() + kLanes) * 4 : 0;
    if (!same_shape_) scratch_bytes_ = elements_ * 4;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    MASE_RETURN_IF_ERROR(epilogue_.Prepare(args, args.Prepared<float>()));
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop loop = epilogue_.MakeLoop(args.Prepared<float>());
    WithElements(a_, args.srcs[0], [&](const auto* a) {
      WithElements(b_, args.srcs[1], [&](const auto* b) { RunAll(a, b, args, loop); });
    });
    return absl::OkStatus();
  }

 private:
  enum Op { kAdd, kSub, kMul };

  template <typename V>
  [[gnu::always_inline]] static V Combine(Op op, V a, V b) {
    return op == kAdd ? a + b : op == kSub ? a - b : a * b;
  }

  template <typename A, typename B>
  void RunAll(const A* a, const B* b, const KernelArgs& args, const Epilogue::Loop& loop) const {
    if constexpr (!std::is_same_v<A, float> && !std::is_same_v<B, float>) {
      const int32_t a_zero = a_.codes->zero, b_zero = b_.codes->zero;
      if (!same_shape_) {
        int32_t* sums = args.Scratch<int32_t>();
        const int64_t length = broadcast_.length();
        for (int64_t run = 0; run < broadcast_.runs(); ++run) {
          const auto at = broadcast_.At(run);
          for (int64_t i = 0; i < length; ++i) {
            sums[run * length + i] = Combine(op_, a[at.a + (broadcast_.a_moves() ? i : 0)] - a_zero,
                                             b[at.b + (broadcast_.b_moves() ? i : 0)] - b_zero);
          }
        }
        Finish([sums](int64_t at, int64_t n) { return LoadLanes(sums + at, n); }, args, loop);
        return;
      }
      Finish(
          [ =, op = op_ ](int64_t at, int64_t n) __attribute__((always_inline)) {
            const EpilogueInts x = __builtin_convertvector(LoadLanes(a + at, n), EpilogueInts);
            const EpilogueInts y = __builtin_convertvector(LoadLanes(b + at, n), EpilogueInts);
            return Combine<EpilogueInts>(op, x - a_zero, y - b_zero);
          },
          args, loop);
    }
  }

  template <typename Sums>
  void Finish(const Sums& sums, const KernelArgs& args, const Epilogue::Loop& loop) const {
    const Rows rows = rows_;
    const int64_t elements = elements_;
    const float scale = scale_;
    const bool bytes = epilogue_.stores_bytes();
    void* dst = args.dst;
    ParallelFor(rows.count, kElementGrain / std::max<int64_t>(rows.length, 1) + 1,
                [&](int64_t begin, int64_t end) {
                  ForBestIsa([=] {
                    for (int64_t row = begin; row < end; ++row) {
                      const int64_t first = row * rows.length;
                      const int64_t length = std::min(rows.length, elements - first);
                      for (int64_t i = 0; i < length; i += kLanes) {
                        EpilogueFloats x =
                            __builtin_convertvector(sums(first + i, length - i), EpilogueFloats) *
                            scale;
                        x = rows.by_lane ? loop.Apply<true>(x, i)
                                         : loop.Apply<false>(x, row % rows.channels);
                        loop.Store(x, dst, first + i, length - i, bytes);
                      }
                    }
                  });
                });
  }

  const Op op_;
  const TensorDesc a_, b_;
  const float scale_;
  const bool same_shape_;
  const Broadcast broadcast_;
  const int64_t elements_;
  const bool has_norm_;
  const Epilogue epilogue_;
  const Rows rows_;
};

// Windows of pixels whose channels are neighbours.
class IntegerPoolKernel final : public Kernel {
 public:
  explicit IntegerPoolKernel(const KernelSpec& spec)
      : averages_(!absl::StrContains(spec.op, "max")),
        src_(spec.srcs[0]),
        channels_(spec.dst.shape[1]),
        epilogue_(spec, channels_) {
    const int axes = spec.dst.shape.rank() - 2;
    height_ = axes == 2 ? src_.shape[2] : 1;
    width_ = src_.shape[-1];
    rows_ = axes == 2 ? WindowsAlong(spec, 0, averages_) : std::vector<Window>{{0, 1, 1}};
    columns_ = WindowsAlong(spec, axes - 1, averages_);
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = (epilogue_.prepared_floats() + kLanes) * 4;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    MASE_RETURN_IF_ERROR(epilogue_.Prepare(args, args.Prepared<float>()));
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop loop = epilogue_.MakeLoop(args.Prepared<float>());
    const int64_t samples = src_.shape[0], plane = height_ * width_ * channels_;
    if (src_.codes->is_byte()) {
      RunAll(args.Src<uint8_t>(0), samples, plane, args.dst, loop);
    } else {
      RunAll(args.Src<int32_t>(0), samples, plane, args.dst, loop);
    }
    return absl::OkStatus();
  }

 private:
  template <typename T>
  void RunAll(const T* src, int64_t samples, int64_t plane, void* dst,
              const Epilogue::Loop& loop) const {
    const int64_t row_count = static_cast<int64_t>(rows_.size());
    ParallelFor(samples * row_count, kElementGrain * row_count / (plane + 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    RunRow(src + i / row_count * plane, rows_[i % row_count],
                           i * static_cast<int64_t>(columns_.size()) * channels_, dst, loop);
                  }
                });
  }

  template <typename T>
  void RunRow(const T* src, const Window& row, int64_t at, void* dst,
              const Epilogue::Loop& loop) const {
    ForBestIsa([&] {
      for (const Window& column : columns_) {
        for (int64_t c = 0; c < channels_; c += kLanes) {
          const int64_t n = std::min(kLanes, channels_ - c);
          if (averages_) {
            Average(src, row, column, c, n, at + c, dst, loop);
          } else {
            Maximum(src, row, column, c, n, static_cast<T*>(dst) + at + c);
          }
        }
        at += channels_;
      }
    });
  }

  template <typename T>
  [[gnu::always_inline]] void Maximum(const T* src, const Window& row, const Window& column,
                                      int64_t c, int64_t n, T* dst) const {
    T best[kLanes];
    const T* at = src + (row.begin * width_ + column.begin) * channels_ + c;
    for (int64_t i = 0; i < n; ++i) best[i] = at[i];
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x) {
        at = src + (y * width_ + x) * channels_ + c;
        if (n == kLanes) {
          for (int64_t i = 0; i < kLanes; ++i) best[i] = at[i] > best[i] ? at[i] : best[i];
        } else {
          for (int64_t i = 0; i < n; ++i) best[i] = at[i] > best[i] ? at[i] : best[i];
        }
      }
    }
    for (int64_t i = 0; i < n; ++i) dst[i] = best[i];
  }

  template <typename T>
  [[gnu::always_inline]] void Average(const T* src, const Window& row, const Window& column,
                                      int64_t c, int64_t n, int64_t to, void* dst,
                                      const Epilogue::Loop& loop) const {
    EpilogueInts sums = {};
    int32_t elements = 0;
    for (int64_t y = row.begin; y < row.end; ++y) {
      for (int64_t x = column.begin; x < column.end; ++x, ++elements) {
        sums += __builtin_convertvector(LoadLanes(src + (y * width_ + x) * channels_ + c, n),
                                        EpilogueInts);
      }
    }
    sums -= elements * src_.codes->zero;
    const float divisor = static_cast<float>(row.divisor * column.divisor);
    const EpilogueFloats mean =
        __builtin_convertvector(sums, EpilogueFloats) * src_.codes->scale / divisor;
    loop.Store(loop.Apply<true>(mean, c), dst, to, n, epilogue_.stores_bytes());
  }

  const bool averages_;
  const TensorDesc src_;
  const int64_t channels_;
  int64_t height_, width_;
  std::vector<Window> rows_, columns_;
  const Epilogue epilogue_;
};

}  // namespace

std::vector<KernelEntry> IntegerElementwiseKernels() {
  std::vector<KernelEntry> entries;
  for (const DType dtype : {DType::kFloat32, DType::kUInt8, DType::kInt32}) {
    entries.push_back({kConvert, dtype, Make<ConvertKernel>});
    entries.push_back({"integer_arithmetic", dtype, Make<ArithmeticKernel>});
    entries.push_back({"integer_pool", dtype, Make<IntegerPoolKernel>});
  }
  return entries;
}

}  // namespace mase
