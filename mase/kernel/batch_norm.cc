// batch_norm1d, batch_norm2d: y = (x - mean) / sqrt(variance + eps) * weight + bias per channel.
//
// Training takes mean and (biased) variance of the batch and moves the running ones towards the
// batch's, with the unbiased variance; inference takes the running ones. Without
// track_running_stats the batch's serve always. "batch_norm_relu" is the same with a ReLU behind,
// for the executor's fusion.
//
// Both layouts and both ranks are one index space [batch, group, space, lane]: the channel is
// group * lanes + lane. Sums run in T for a short stretch and in double from there on.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

struct ChannelSpace {
  int64_t batch, groups, space, lanes;

  explicit ChannelSpace(const TensorDesc& src) {
    const Shape& shape = src.shape;
    batch = shape[0];
    space = 1;
    for (int i = 2; i < shape.rank(); ++i) space *= shape[i];
    lanes = src.layout == Layout::kBlocked ? ChannelBlock() : space == 1 ? shape[1] : 1;
    groups = lanes == 0 ? 0 : shape[1] / lanes;
  }
  int64_t channels() const { return groups * lanes; }
  int64_t per_channel() const { return batch * space; }
};

// Lanes are handled in strips of this many, sums of which fit in registers.
constexpr int64_t kStrip = 32;
// Numbers added in T before the sum moves on to double.
constexpr int64_t kStretch = 128;

// Calls body(first channel, channels, start of the strip's first element) for every strip.
template <typename Body>
void ForStrips(const ChannelSpace& s, const Body& body) {
  const int64_t strips = (s.lanes + kStrip - 1) / kStrip;
  const int64_t strip_work = s.per_channel() * std::min(s.lanes, kStrip);
  ParallelFor(s.groups * strips, kElementGrain / std::max<int64_t>(strip_work, 1) + 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const int64_t group = i / strips, lane = i % strips * kStrip;
                  body(group * s.lanes + lane, std::min(kStrip, s.lanes - lane),
                       group * s.space * s.lanes + lane);
                }
              });
}

// Two sums per channel over batch and space: term(offset, channel in strip) gives what to add to
// each. With one lane the "strip" is a stretch of space, added up at the end.
template <typename T>
struct Terms {
  T first, second;
};

template <typename T, typename Term>
[[gnu::always_inline]] inline void SumStrip(const ChannelSpace& s, int64_t count, int64_t start,
                                            const Term& term, double (&first)[kStrip],
                                            double (&second)[kStrip]) {
  const int64_t row = s.groups * s.space * s.lanes;
  const bool flat = s.lanes == 1;
  const int64_t width = flat ? std::min(kStrip, s.space) : count;
  const int64_t steps = flat ? s.space / width : s.space;
  const int64_t step = flat ? width : s.lanes;
  std::fill_n(first, kStrip, 0.0);
  std::fill_n(second, kStrip, 0.0);
  T a[kStrip] = {}, b[kStrip] = {};
  int64_t added = 0;
  const auto flush = [&] {
    for (int64_t i = 0; i < kStrip; ++i) {
      first[i] += a[i];
      second[i] += b[i];
      a[i] = b[i] = 0;
    }
    added = 0;
  };
  for (int64_t n = 0; n < s.batch; ++n) {
    int64_t offset = start + n * row;
    for (int64_t i = 0; i < steps; ++i, offset += step) {
      if (width == 16 && !flat) {  // The blocked layout: a known width, kept in registers.
        for (int64_t c = 0; c < 16; ++c) {
          const Terms<T> terms = term(offset + c, c);
          a[c] += terms.first;
          b[c] += terms.second;
        }
      } else {
        for (int64_t c = 0; c < width; ++c) {
          const Terms<T> terms = term(offset + c, flat ? 0 : c);
          a[c] += terms.first;
          b[c] += terms.second;
        }
      }
      if (++added == kStretch) flush();
    }
    for (int64_t i = steps * width; flat && i < s.space; ++i) {
      const Terms<T> terms = term(start + n * row + i, 0);
      first[0] += terms.first;
      second[0] += terms.second;
    }
  }
  flush();
  for (int64_t i = 1; flat && i < kStrip; ++i) {
    first[0] += first[i];
    second[0] += second[i];
  }
}

// Calls body(offset, channel in strip) for every element of the strip.
template <typename Body>
void EachElement(const ChannelSpace& s, int64_t count, int64_t start, const Body& body) {
  const int64_t row = s.groups * s.space * s.lanes;
  for (int64_t n = 0; n < s.batch; ++n) {
    const int64_t first = start + n * row;
    if (s.lanes == 1) {
      for (int64_t i = 0; i < s.space; ++i) body(first + i, 0);
    } else if (count == 16) {
      for (int64_t i = 0; i < s.space; ++i) {
        for (int64_t c = 0; c < 16; ++c) body(first + i * s.lanes + c, c);
      }
    } else {
      for (int64_t i = 0; i < s.space; ++i) {
        for (int64_t c = 0; c < count; ++c) body(first + i * s.lanes + c, c);
      }
    }
  }
}

template <typename T, bool kRelu>
class BatchNormKernel : public Kernel {
 public:
  template <typename K>  // This, or it with its gradient.
  static KernelOr Create(const KernelSpec& spec) {
    auto kernel = std::make_unique<K>(spec);
    const int64_t values = kernel->space_.per_channel();
    if (kernel->uses_batch_ && values == 1) {
      return OneValuePerChannel(spec.srcs[0].shape);
    }
    return kernel;
  }

  explicit BatchNormKernel(const KernelSpec& spec)
      : space_(spec.srcs[0]),
        eps_(spec.attributes->Float("eps")),
        momentum_(spec.attributes->Float("momentum")),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        mean_(spec.TensorIndex("running_mean")),
        variance_(spec.TensorIndex("running_var")),
        counter_(spec.TensorIndex("num_batches_tracked")),
        uses_batch_(spec.training || mean_ < 0),
        updates_(spec.training && mean_ >= 0) {
    best_isa_ = true;
    src_layouts_ = {spec.srcs[0].layout};
    dst_layout_ = spec.srcs[0].layout;
    reads_src_ = uses_batch_;
    reads_dst_ = kRelu;
    in_place_ = true;
    if (uses_batch_) {
      workspace_bytes_ = 2 * space_.channels() * kBytes;  // Mean and 1 / sqrt(variance + eps).
    } else {
      prepared_bytes_ = space_.channels() * kBytes;  // weight / sqrt(variance + eps).
    }
  }

  absl::Status Prepare(const KernelArgs& args) override {
    const int64_t channels = space_.channels();
    for (int64_t c = 0; !uses_batch_ && c < channels; ++c) {
      const double weight = weight_ < 0 ? 1.0 : static_cast<double>(args.Tensor<T>(weight_)[c]);
      args.Prepared<T>()[c] =
          static_cast<T>(weight / std::sqrt(args.Tensor<T>(variance_)[c] + eps_));
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const T* src = args.Src<T>(0);
    T* dst = args.Dst<T>();
    const ChannelSpace& s = space_;
    ForStrips(s, [&](int64_t channel, int64_t count, int64_t start) {
      T mean[kStrip], scale[kStrip], shift[kStrip];
      if (uses_batch_) {
        BatchStatistics(args, channel, count, start, mean, scale);
      } else {
        std::copy_n(args.Tensor<T>(mean_) + channel, count, mean);
        std::copy_n(args.Prepared<T>() + channel, count, scale);
      }
      for (int64_t c = 0; c < count; ++c) {
        shift[c] = bias_ < 0 ? T(0) : args.Tensor<T>(bias_)[channel + c];
      }
      ForBestIsa([&] {
        EachElement(s, count, start, [&](int64_t at, int64_t c) {
          const T y = (src[at] - mean[c]) * scale[c] + shift[c];
          dst[at] = kRelu ? (y < 0 ? T(0) : y) : y;
        });
      });
    });
    if (updates_ && counter_ >= 0 && s.per_channel() > 0) args.Tensor<T>(counter_)[0] += 1;
    return absl::OkStatus();
  }

  // dbias = sum dy, dweight = sum dy x^, dx = weight / (n sqrt(variance + eps)) (n dy - dbias - x^
  // dweight)
  absl::Status Gradient(const BackwardArgs& args) {
    const ChannelSpace& s = space_;
    const T* src = args.Src<T>(0);
    const T* dst = args.Dst<T>();
    const T* diff_dst = args.DiffDst<T>();
    // What the ReLU lets through. Loads both, so that it vectorizes.
    const auto diff = [dst, diff_dst](int64_t at) {
      const T all = diff_dst[at];
      if constexpr (kRelu) return dst[at] > 0 ? all : T(0);
      return all;
    };
    ForStrips(s, [&](int64_t channel, int64_t count, int64_t start) {
      T mean[kStrip] = {};
      std::copy_n(args.Workspace<T>() + channel, count, mean);
      const T* inverse = args.Workspace<T>() + s.channels() + channel;
      double sums[kStrip], products[kStrip];
      ForBestIsa([&] {
        SumStrip<T>(
            s, count, start,
            [&](int64_t at, int64_t c) {
              const T passed = diff(at);
              return Terms<T>{passed, passed * (src[at] - mean[c])};
            },
            sums, products);
      });
      T factor[kStrip], offset[kStrip], slope[kStrip];
      for (int64_t c = 0; c < count; ++c) {
        const double n = static_cast<double>(s.per_channel());
        const double weight =
            weight_ < 0 ? 1.0 : static_cast<double>(args.Tensor<T>(weight_)[channel + c]);
        const double diff_weight = products[c] * inverse[c];
        factor[c] = static_cast<T>(weight * inverse[c]);
        offset[c] = static_cast<T>(n > 0 ? sums[c] / n : 0.0);
        slope[c] = static_cast<T>(n > 0 ? diff_weight * inverse[c] / n : 0.0);
        Store(args, weight_, channel + c, diff_weight);
        Store(args, bias_, channel + c, sums[c]);
      }
      T* diff_src = args.DiffSrc<T>(0);
      if (diff_src == nullptr) return;
      ForBestIsa([&] {
        EachElement(s, count, start, [&](int64_t at, int64_t c) {
          diff_src[at] = factor[c] * (diff(at) - offset[c] - (src[at] - mean[c]) * slope[c]);
        });
      });
    });
    return absl::OkStatus();
  }

 private:
  static void Store(const BackwardArgs& args, int tensor, int64_t channel, double value) {
    if (tensor >= 0 && args.DiffTensor<T>(tensor) != nullptr) {
      args.DiffTensor<T>(tensor)[channel] = static_cast<T>(value);
    }
  }

  // One pass: sums of the distance to a value near the mean and of its square. Near is what keeps
  // the digits that a large mean would take from the variance.
  void BatchStatistics(const KernelArgs& args, int64_t channel, int64_t count, int64_t start,
                       T* mean, T* scale) const {
    const ChannelSpace& s = space_;
    const double n = static_cast<double>(s.per_channel());
    if (n == 0) return;
    const T* src = args.Src<T>(0);
    T near[kStrip];
    double sums[kStrip], square_sums[kStrip];
    ForBestIsa([&] {
      FirstMean(src, count, start, near);
      SumStrip<T>(
          s, count, start,
          [&](int64_t at, int64_t c) {
            const T distance = src[at] - near[c];
            return Terms<T>{distance, distance * distance};
          },
          sums, square_sums);
    });
    for (int64_t c = 0; c < count; ++c) {
      const double distance = sums[c] / n;
      const double batch_mean = near[c] + distance;
      const double squares = std::max(square_sums[c] - n * distance * distance, 0.0);
      const double inverse = 1 / std::sqrt(squares / n + eps_);
      const double weight =
          weight_ < 0 ? 1.0 : static_cast<double>(args.Tensor<T>(weight_)[channel + c]);
      mean[c] = static_cast<T>(batch_mean);
      scale[c] = static_cast<T>(weight * inverse);
      args.Workspace<T>()[channel + c] = mean[c];
      args.Workspace<T>()[s.channels() + channel + c] = static_cast<T>(inverse);
      if (!updates_) continue;
      Move(args.Tensor<T>(mean_)[channel + c], batch_mean);
      Move(args.Tensor<T>(variance_)[channel + c], squares / (n - 1));
    }
  }

  // The mean of each channel's first values.
  void FirstMean(const T* src, int64_t count, int64_t start, T* mean) const {
    const ChannelSpace& s = space_;
    const int64_t space = std::min(s.space, kStretch);
    const int64_t batch = std::min(s.batch, (kStretch + space - 1) / space);
    T sums[kStrip] = {};
    for (int64_t n = 0; n < batch; ++n) {
      const T* at = src + start + n * s.groups * s.space * s.lanes;
      for (int64_t i = 0; i < space; ++i, at += s.lanes) {
        for (int64_t c = 0; c < count; ++c) sums[c] += at[c];
      }
    }
    for (int64_t c = 0; c < count; ++c) mean[c] = sums[c] / static_cast<T>(batch * space);
  }

  void Move(T& running, double batch) const {
    running = static_cast<T>((1 - momentum_) * running + momentum_ * batch);
  }

  static constexpr int64_t kBytes = sizeof(T);

  const ChannelSpace space_;
  const double eps_, momentum_;
  const int weight_, bias_, mean_, variance_, counter_;
  const bool uses_batch_, updates_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      {"batch_norm1d", DTypeOf<T>::value,
       BatchNormKernel<T, false>::template Create<As<BatchNormKernel<T, false>>>},
      {"batch_norm2d", DTypeOf<T>::value,
       BatchNormKernel<T, false>::template Create<As<BatchNormKernel<T, false>>>},
      {"batch_norm_relu", DTypeOf<T>::value,
       BatchNormKernel<T, true>::template Create<As<BatchNormKernel<T, true>>>},
  };
};

}  // namespace

absl::Status OneValuePerChannel(const Shape& input) {
  return absl::InvalidArgumentError(
      absl::StrCat("batch statistics of one value per channel (input ", input.ToString(),
                   "): want more than one row"));
}

std::vector<KernelEntry> BatchNormKernels() { return ForInference(kOps); }
std::vector<KernelEntry> BatchNormTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
