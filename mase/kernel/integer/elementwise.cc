// Steps on codes that multiply no weights:
//
//   "convert"             an epilogue by itself (epilogue.h): encode, decode, relu, a batch
//                         norm in front of an encode, and what is fused behind them
//   "integer_arithmetic"  add, sub and mul of two tensors of codes
//   "integer_pool"        maxima and averages of windows
//
// A sum or difference of codes, or a window's sum, is exact in an int32 and rounded once to float32
// before what follows. So is a product, as the float32 one of two numbers of 17 bits with sign,
// which hold a code less its zero; its zeros have the signs that the simulation's have.
#include <algorithm>
#include <atomic>
#include <functional>

#include "absl/strings/match.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/power_of_two.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/broadcast.h"
#include "mase/kernel/integer/epilogue.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/pool_windows.h"

namespace mase {
namespace {

// No sum, product or mean of codes is larger.
constexpr double kLargestNumber = 0x1p34;

// Numbers that wait for the epilogue stay in the L1 cache.
constexpr int64_t kBlock = 256;

// numbers[i] = the code that is i behind the first (or, if the operand stands still, the first)
// less the code of zero.
void LoadNumbers(const TensorDesc& desc, const void* data, int64_t first, bool moves, int64_t count,
                 int32_t* numbers) {
  const auto load = [=, zero = desc.codes->zero](const auto* codes) {
    ForBestIsa([=] {
      for (int64_t i = 0; i < (moves ? count : 1); ++i) {
        numbers[i] = static_cast<int32_t>(codes[i]) - zero;
      }
    });
  };
  if (desc.codes->is_byte()) {
    load(static_cast<const uint8_t*>(data) + first);
  } else {
    load(static_cast<const int32_t*>(data) + first);
  }
  if (!moves) std::fill_n(numbers + 1, count - 1, numbers[0]);
}

// Where the channel of a tensor's element is, as rows of neighbours.
class Rows {
 public:
  Rows(const Shape& shape, Layout layout, bool has_channels) : elements_(shape.elements()) {
    channels_ = has_channels ? shape[1] : 1;
    const int64_t space =
        shape.rank() > 2 ? shape.elements() / std::max<int64_t>(shape[0] * shape[1], 1) : 1;
    by_lane_ = has_channels && (layout == Layout::kChannelsLast || space == 1);
    length_ = !has_channels ? 4096 : by_lane_ ? channels_ : space;
    count_ = length_ == 0 ? 0 : (elements_ + length_ - 1) / length_;
  }

  // Whether a row's elements are channels; else a row is of one channel.
  bool by_lane() const { return by_lane_; }

  // Calls fn(first element, elements, channel of the first) for each row, on all cores.
  template <typename Fn>
  void ForRuns(const Fn& fn) const {
    ParallelFor(count_, kElementGrain / std::max<int64_t>(length_, 1) + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const int64_t first = row * length_;
                    fn(first, std::min(length_, elements_ - first), by_lane_ ? 0 : row % channels_);
                  }
                });
  }

 private:
  int64_t elements_, channels_, length_, count_;
  bool by_lane_;
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
    best_isa_ = true;
    src_layouts_ = {OwnLayout(spec.srcs[0].layout)};
    dst_layout_ = src_layouts_[0];
    prepared_bytes_ = has_norm_ ? (epilogue_.prepared_floats() + kEpilogueLanes) * 4 : 0;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    // Numbers of floats may be infinite.
    const NumberRange numbers =
        src_.codes.has_value()
            ? NumberRange::OfSteps(src_.codes->least(), src_.codes->most(), src_.codes->scale)
            : NumberRange{.watched = true};
    return epilogue_.Prepare(args, numbers, args.Prepared<float>());
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop loop = epilogue_.MakeLoop(args.Prepared<float>());
    const bool checks = !src_.codes.has_value() && epilogue_.refuses_nan();
    std::atomic<bool> has_nan = false;
    rows_.ForRuns([&](int64_t first, int64_t count, int64_t channel) {
      if (src_.codes.has_value()) {
        RunCodes(args.srcs[0], first, count, channel, loop, args.dst);
      } else if (loop.Run(args.Src<float>(0) + first, count, rows_.by_lane(), channel, args.dst,
                          first, epilogue_.stores_bytes()) &&
                 checks) {
        has_nan = true;
      }
    });
    if (!has_nan) return absl::OkStatus();
    return absl::OutOfRangeError(
        "reads a NaN, or its batch norm makes one, for which the format has no code; run the net "
        "simulated, or clean the data");
  }

 private:
  // Of codes: their numbers, block by block.
  void RunCodes(const void* src, int64_t first, int64_t count, int64_t channel,
                const Epilogue::Loop& loop, void* dst) const {
    const float scale = src_.codes->scale;
    int32_t numbers[kBlock];
    float block[kBlock];
    for (int64_t i = 0; i < count; i += kBlock) {
      const int64_t size = std::min(kBlock, count - i);
      LoadNumbers(src_, src, first + i, /*moves=*/true, size, numbers);
      ForBestIsa([=, &numbers, &block] {
        for (int64_t k = 0; k < size; ++k) block[k] = static_cast<float>(numbers[k]) * scale;
      });
      loop.Run(block, size, rows_.by_lane(), channel + (rows_.by_lane() ? i : 0), dst, first + i,
               epilogue_.stores_bytes());
    }
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
    best_isa_ = true;
    const bool channels_last = same_shape_ && (a_.layout == Layout::kChannelsLast);
    const Layout layout = channels_last ? Layout::kChannelsLast : Layout::kPlain;
    src_layouts_ = {layout, layout};
    dst_layout_ = layout;
    prepared_bytes_ = has_norm_ ? (epilogue_.prepared_floats() + kEpilogueLanes) * 4 : 0;
    if (!same_shape_) scratch_bytes_ = elements_ * 4;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    const NumberRange numbers = {kLargestNumber * static_cast<double>(scale_)};
    return epilogue_.Prepare(args, numbers, args.Prepared<float>());
  }

  absl::Status Forward(const KernelArgs& args) override {
    const Epilogue::Loop loop = epilogue_.MakeLoop(args.Prepared<float>());
    const void* const a = args.srcs[0];
    const void* const b = args.srcs[1];
    if (same_shape_) {
      Finish(
          [=, this](int64_t first, int64_t count, float* block) {
            Combine(a, {first, true}, b, {first, true}, count, block);
          },
          args, loop);
      return absl::OkStatus();
    }
    float* const results = args.Scratch<float>();
    const int64_t length = broadcast_.length();
    const bool a_moves = broadcast_.a_moves(), b_moves = broadcast_.b_moves();
    for (int64_t run = 0; run < broadcast_.runs(); ++run) {
      const auto at = broadcast_.At(run);
      for (int64_t i = 0; i < length; i += kBlock) {
        Combine(a, {at.a + (a_moves ? i : 0), a_moves}, b, {at.b + (b_moves ? i : 0), b_moves},
                std::min(kBlock, length - i), results + run * length + i);
      }
    }
    Finish([results](int64_t first, int64_t count,
                     float* block) { std::copy_n(results + first, count, block); },
           args, loop);
    return absl::OkStatus();
  }

 private:
  enum Op { kAdd, kSub, kMul };

  // Where the codes of an operand begin, and whether each result has its own.
  struct Place {
    int64_t first;
    bool moves;
  };

  // The numbers of up to kBlock results.
  void Combine(const void* a, Place a_place, const void* b, Place b_place, int64_t count,
               float* results) const {
    int32_t x[kBlock], y[kBlock];
    LoadNumbers(a_, a, a_place.first, a_place.moves, count, x);
    LoadNumbers(b_, b, b_place.first, b_place.moves, count, y);
    if (op_ != kMul && !IsPowerOfTwo(scale_)) return CombineNumbers(x, y, count, results);
    const auto run =
        [ =, &x, &y, scale = scale_ ](const auto& combine) __attribute__((always_inline)) {
      for (int64_t i = 0; i < count; ++i) {
        results[i] = static_cast<float>(combine(x[i], y[i])) * scale;
      }
    };
    // Of factors with a sign, which a product of zero has, too.
    const auto multiply = [](int32_t a, int32_t b) {
      return static_cast<float>(a) * static_cast<float>(b);
    };
    ForBestIsa([&, op = op_] {
      if (op == kAdd) {
        run(std::plus<int32_t>());
      } else if (op == kSub) {
        run(std::minus<int32_t>());
      } else {
        run(multiply);
      }
    });
  }

  // Where the scale is no power of two: the sum of numbers that were rounded, as the simulation's
  // are, which in one loop would become a fused multiply-add.
  void CombineNumbers(const int32_t* x, const int32_t* y, int64_t count, float* results) const {
    float subtracted[kBlock];
    ForBestIsa([=, &subtracted, scale = scale_, sign = op_ == kAdd ? -1.0f : 1.0f] {
      for (int64_t i = 0; i < count; ++i) results[i] = static_cast<float>(x[i]) * scale;
      for (int64_t i = 0; i < count; ++i) subtracted[i] = static_cast<float>(y[i]) * scale * sign;
    });
    ForBestIsa([=, &subtracted] {
      for (int64_t i = 0; i < count; ++i) results[i] -= subtracted[i];
    });
  }

  // fill(first, count, block) writes the numbers of so many elements.
  template <typename Fill>
  void Finish(const Fill& fill, const KernelArgs& args, const Epilogue::Loop& loop) const {
    rows_.ForRuns([&](int64_t first, int64_t count, int64_t channel) {
      float block[kBlock];
      for (int64_t i = 0; i < count; i += kBlock) {
        const int64_t size = std::min(kBlock, count - i);
        fill(first + i, size, block);
        loop.Run(block, size, rows_.by_lane(), channel + (rows_.by_lane() ? i : 0), args.dst,
                 first + i, epilogue_.stores_bytes());
      }
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
    best_isa_ = true;
    const int axes = spec.dst.shape.rank() - 2;
    height_ = axes == 2 ? src_.shape[2] : 1;
    width_ = src_.shape[-1];
    rows_ = axes == 2 ? WindowsAlong(spec, 0, averages_) : std::vector<Window>{{0, 1, 1}};
    columns_ = WindowsAlong(spec, axes - 1, averages_);
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    const NumberRange numbers = {kLargestNumber * static_cast<double>(src_.codes->scale)};
    return epilogue_.Prepare(args, numbers, args.Prepared<float>());
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

  // The windows of one row of results.
  template <typename T>
  void RunRow(const T* src, const Window& row, int64_t at, void* dst,
              const Epilogue::Loop& loop) const {
    if (!averages_) {
      ForBestIsa([=, this] { Maxima(src, row, static_cast<T*>(dst) + at); });
      return;
    }
    for (const Window& column : columns_) {
      for (int64_t c = 0; c < channels_; c += kBlock) {
        const int64_t count = std::min(kBlock, channels_ - c);
        float means[kBlock];
        Average(src, row, column, c, count, means);
        loop.Run(means, count, /*by_lane=*/true, c, dst, at + c, epilogue_.stores_bytes());
      }
      at += channels_;
    }
  }

  // In vectors as long as the channels fill.
  template <typename T>
  [[gnu::always_inline]] void Maxima(const T* src, const Window& row, T* dst) const {
    constexpr int64_t kElement = sizeof(T);
    if (channels_ * kElement >= 64) {
      MaximaOf<64 / kElement>(src, row, dst);
    } else if (channels_ * kElement >= 16) {
      MaximaOf<16 / kElement>(src, row, dst);
    } else if (channels_ * kElement >= 8) {
      MaximaOf<8 / kElement>(src, row, dst);
    } else {
      MaximaOf<1>(src, row, dst);
    }
  }

  template <int64_t kLanes, typename T>
  [[gnu::always_inline]] void MaximaOf(const T* src, const Window& row, T* dst) const {
    typedef T Vector
        __attribute__((vector_size(kLanes * sizeof(T)), aligned(sizeof(T)), may_alias));
    const int64_t channels = channels_, width = width_;
    for (const Window& column : columns_) {
      const auto pixel = [=](int64_t y, int64_t x) { return src + (y * width + x) * channels; };
      for (int64_t c = 0; c < channels; c += kLanes) {
        // The last vector may begin in the one before it.
        const int64_t from = std::min(c, channels - kLanes);
        const auto at = [=](int64_t y, int64_t x) {
          return reinterpret_cast<const Vector*>(pixel(y, x) + from);
        };
        Vector best = *at(row.begin, column.begin);
        for (int64_t y = row.begin; y < row.end; ++y) {
          for (int64_t x = column.begin; x < column.end; ++x) {
            const Vector next = *at(y, x);
            best = next > best ? next : best;
          }
        }
        *reinterpret_cast<Vector*>(dst + from) = best;
      }
      dst += channels;
    }
  }

  template <typename T>
  void Average(const T* src, const Window& row, const Window& column, int64_t c, int64_t count,
               float* means) const {
    const int64_t elements = (row.end - row.begin) * (column.end - column.begin);
    const int32_t zeros = static_cast<int32_t>(elements) * src_.codes->zero;
    const float scale = src_.codes->scale;
    const float divisor = static_cast<float>(row.divisor * column.divisor);
    ForBestIsa([=, this] {
      int32_t sums[kBlock] = {};
      for (int64_t y = row.begin; y < row.end; ++y) {
        for (int64_t x = column.begin; x < column.end; ++x) {
          const T* at = src + (y * width_ + x) * channels_ + c;
          for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<int32_t>(at[i]);
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        means[i] = static_cast<float>(sums[i] - zeros) * scale / divisor;
      }
    });
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
