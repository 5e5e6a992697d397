// "integer_conv": convolutions on codes. They have their channels last, so that the channels of a
// pixel are one run for the inner loop, whatever the kernel's size, stride, padding and dilation.
// Taps in the padding are left out tile by tile. Windows of an image's few channels would waste
// most of a step on each tap, and are copied to rows of all taps first.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_windows.h"
#include "mase/kernel/integer/product.h"

namespace mase {
namespace {

class IntegerConvKernel final : public ProductKernel {
 public:
  explicit IntegerConvKernel(const KernelSpec& spec)
      : IntegerConvKernel(spec, ConvGeometry(spec)) {}

  absl::Status Prepare(const KernelArgs& args) override {
    const int64_t taps = windows_.taps();
    const WeightReader weight(weight_codes_, g_.out_channels, depth_ * taps,
                              args.Tensor<float>(g_.weight));
    MASE_RETURN_IF_ERROR(weight.status());
    const float* bias = g_.bias < 0 ? nullptr : args.Tensor<float>(g_.bias);
    bound_ = {};
    const auto code = [&](int64_t o, int64_t tap, int64_t k) {
      return gathers_ ? weight.Code(o, k % depth_ * taps + k / depth_)
                      : weight.Code(o, k * taps + tap);
    };
    for (int64_t group = 0; group < g_.groups; ++group) {
      const int64_t first = group * outputs_;
      MASE_RETURN_IF_ERROR(gemms_[group].Pack(
          [&](int64_t o, int64_t tap, int64_t k) { return code(first + o, tap, k); },
          [&](int64_t o) { return src_codes_.scale * weight.Scale(first + o); },
          bias == nullptr ? nullptr : bias + first, args.Prepared<char>() + group * packed_bytes_,
          &bound_));
    }
    char* prepared = args.Prepared<char>();
    MASE_RETURN_IF_ERROR(
        epilogue_.Prepare(args, SumRange(src_codes_, weight_codes_, bias, g_.out_channels),
                          reinterpret_cast<float*>(prepared + epilogue_at_)));
    gemms_[0].FillPadding(prepared + padding_at_, PixelBytes());
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const char* prepared = args.Prepared<char>();
    const char* src = static_cast<const char*>(args.srcs[0]);
    if (!gemms_[0].reads_bytes()) {
      gemms_[0].Convert(src, SrcRows(), depth_, args.scratch);
      src = args.Scratch<char>();
    }
    if (gathers_) {
      char* rows = args.Scratch<char>() + gathered_at_;
      if (gemms_[0].reads_bytes()) {
        Gather<uint8_t>(src, rows);
      } else {
        Gather<int16_t>(src, rows);
      }
      src = rows;
    }
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(prepared + epilogue_at_));
    const int64_t group_bytes = gemms_[0].RowBytes(depth_), pixel_bytes = g_.groups * group_bytes;
    const char* padding = prepared + padding_at_;
    const int64_t positions = windows_.positions();
    // Rows of a group, which are windows[first + r * step].
    const auto run = [&](int64_t group, const TilePart& part, int64_t window, int64_t step) {
      const char* from = src + group * group_bytes;
      const auto find_rows = [&](int64_t first, int64_t count, const auto& set) {
        if (gathers_) {
          const int64_t row_bytes = gemms_[0].RowBytes(RowElements());
          for (int64_t r = 0; r < count; ++r) set(r, 0, src + (first + r) * row_bytes);
          return;
        }
        const auto set_pixel = [&](int64_t r, int64_t tap, int64_t pixel) {
          set(r, tap, pixel < 0 ? nullptr : from + pixel * pixel_bytes);
        };
        if (step == 1) return windows_.ForRows(window + first, count, set_pixel);
        for (int64_t i = 0; i < count; ++i) {
          windows_.ForRows(window + (first + i) * step, 1,
                           [&](int64_t, int64_t tap, int64_t pixel) { set_pixel(i, tap, pixel); });
        }
      };
      const int64_t channel = group * outputs_;
      gemms_[group].Run(prepared + group * packed_bytes_, part, find_rows, padding,
                        {epilogue, epilogue_.stores_bytes(), args.dst, g_.out_channels * step,
                         window * g_.out_channels + channel, channel});
    };
    // Threads share samples, as they do in other kernels, so that each finds what it made in its
    // own cache; only where there are too few for the tiles of all, positions.
    const int64_t tile_rows = gemms_[0].tile_rows();
    const bool by_sample = g_.batch >= 2 * tile_rows * omp_get_max_threads();
    const int64_t unit = !by_position_ ? tile_rows : by_sample ? positions : g_.batch;
    gemms_[0].ForParts(g_.batch * positions, unit, macs_, [&](const TilePart& part) {
      for (int64_t group = 0; group < g_.groups; ++group) {
        if (!by_position_) {
          run(group, part, 0, 1);
          continue;
        }
        const int64_t begin = part.begin / unit, end = part.end / unit;
        const int64_t first = by_sample ? begin : 0, samples = by_sample ? end - begin : g_.batch;
        const TilePart all = {0, samples, part.begin_block, part.end_block};
        for (int64_t p = by_sample ? 0 : begin; p < (by_sample ? positions : end); ++p) {
          run(group, all, first * positions + p, positions);
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  IntegerConvKernel(const KernelSpec& spec, const ConvGeometry& g)
      : ProductKernel(CurrentIntegerIsa(),
                      spec.dst.elements() * g.in_channels / g.groups * g.kernel[0] * g.kernel[1]),
        g_(g),
        windows_(g),
        depth_(g.in_channels / g.groups),
        outputs_(g.out_channels / g.groups),
        gathers_(g.groups == 1 && depth_ <= kFewChannels && windows_.taps() > 1),
        src_codes_(*spec.srcs[0].codes),
        weight_codes_(spec.weight),
        gemms_(g.groups,
               IntegerGemm(src_codes_,
                           FactorsOf(src_codes_, spec.weight.least, spec.weight.most,
                                     gathers_ ? 0 : depth_),  // Few channels are copied as bytes.
                           gathers_ ? 1 : windows_.taps(),
                           gathers_ ? depth_ * windows_.taps() : depth_, outputs_)),
        epilogue_(spec, g.out_channels),
        packed_bytes_(RoundUp64(gemms_[0].packed_bytes())),
        padding_at_(packed_bytes_ * g.groups),
        epilogue_at_(padding_at_ + RoundUp64(PixelBytes())),
        by_position_(ReadsFewerTapsByPosition()) {
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
    isa_ = gemms_[0].isa();
    if (!gemms_[0].reads_bytes()) {
      scratch_bytes_ = RoundUp64(gemms_[0].ConvertedBytes(SrcRows(), depth_));
    }
    gathered_at_ = scratch_bytes_;
    if (gathers_) {
      scratch_bytes_ += g.batch * windows_.positions() * gemms_[0].RowBytes(RowElements());
    }
  }

  // Of a gathered row: whole steps.
  int64_t RowElements() const {
    const int64_t step = IntegerGemm::kOverread;
    return (depth_ * windows_.taps() + step - 1) / step * step;
  }
  template <typename T>
  void Gather(const char* src, char* rows) const {
    const int64_t count = g_.batch * windows_.positions(), stride = RowElements();
    ParallelFor(count, kElementGrain / stride + 1, [&](int64_t begin, int64_t end) {
      windows_.Gather(reinterpret_cast<const T*>(src), begin, end, static_cast<T>(src_codes_.zero),
                      reinterpret_cast<T*>(rows) + begin * stride, stride);
    });
  }

  // Taps that tiles of the first few samples read, if consecutive rows of `order` are a tile.
  template <typename Order>
  int64_t CountTaps(int64_t samples, const Order& order) const {
    const int64_t rows = samples * windows_.positions(), taps = windows_.taps();
    int64_t count = 0;
    std::vector<bool> is_read(taps);
    for (int64_t row = 0; row < rows; ++row) {
      windows_.ForRows(order(row), 1, [&](int64_t, int64_t tap, int64_t pixel) {
        if (pixel >= 0) is_read[tap] = true;
      });
      if ((row + 1) % gemms_[0].tile_rows() != 0 && row + 1 != rows) continue;
      count += std::count(is_read.begin(), is_read.end(), true);
      is_read.assign(taps, false);
    }
    return count;
  }
  // Where padding is much of the input, the same position of several samples reads the same taps.
  bool ReadsFewerTapsByPosition() const {
    constexpr int64_t kFewPositions = 64;
    const int64_t positions = windows_.positions();
    const int64_t samples = std::min(g_.batch, gemms_[0].tile_rows());
    if (gathers_ || windows_.taps() == 1 || positions > kFewPositions || samples < 2) return false;
    return CountTaps(samples,
                     [&](int64_t row) { return row % samples * positions + row / samples; }) <
           CountTaps(
               samples, [](int64_t row) { return row; });
  }

  // Pixels, one for each group.
  int64_t SrcRows() const { return g_.batch * g_.groups * g_.in[0] * g_.in[1]; }
  int64_t PixelBytes() const { return 2 * (depth_ + IntegerGemm::kOverread); }

  const ConvGeometry g_;
  const Windows windows_;
  // Up to here windows are copied.
  static constexpr int64_t kFewChannels = 8;

  const int64_t depth_, outputs_;  // Of a group.
  const bool gathers_;
  int64_t gathered_at_ = 0;  // In scratch.
  const Codes src_codes_;
  const WeightCodes weight_codes_;
  std::vector<IntegerGemm> gemms_;  // By group.
  const Epilogue epilogue_;
  const int64_t packed_bytes_, padding_at_, epilogue_at_;
  // Whether tiles are of one position of several samples, not of neighbouring positions.
  const bool by_position_;
};

}  // namespace

KernelOr MakeIntegerConv(const KernelSpec& spec) {
  if (IsDepthwise(spec)) return MakeIntegerDepthwise(spec);
  return std::make_unique<IntegerConvKernel>(spec);
}

}  // namespace mase
