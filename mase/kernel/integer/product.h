// What the kernels of products on codes share. They come one to a file: linear.cc, conv.cc with
// depthwise.cc, matmul.cc; product.cc is their part of the table of kernels.
//
// The stored weight and bias come as the rounded float32 numbers that the simulated step reads, and
// are packed as codes by Prepare, which also proves that no sum overflows (gemm.h). What follows in
// the fused list runs in registers (epilogue.h).
#ifndef MASE_KERNEL_INTEGER_PRODUCT_H_
#define MASE_KERNEL_INTEGER_PRODUCT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/kernel/integer/gemm.h"
#include "mase/kernel/kernels.h"

namespace mase {

// linear
KernelOr MakeIntegerLinear(const KernelSpec& spec);
// conv1d, conv2d
KernelOr MakeIntegerConv(const KernelSpec& spec);
// Those of them that convolve each channel by itself.
bool IsDepthwise(const KernelSpec& spec);
KernelOr MakeIntegerDepthwise(const KernelSpec& spec);
// matmul, bmm
KernelOr MakeIntegerMatmul(const KernelSpec& spec);

// Multiplications that are worth a task.
inline constexpr int64_t kTaskMacs = 1 << 20;

inline int64_t RoundUp64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Finished sums as numbers, in which a bias may be.
inline NumberRange SumRange(const Codes& src, const WeightCodes& weight, const float* bias,
                            int64_t outputs) {
  const float scale = *std::max_element(weight.scales.begin(), weight.scales.end());
  NumberRange range = {kLargestSum * static_cast<double>(src.scale) * static_cast<double>(scale)};
  float most = 0;
  for (int64_t o = 0; bias != nullptr && o < outputs; ++o) most = std::max(most, std::abs(bias[o]));
  range.largest += static_cast<double>(most);
  return range;
}

// A rounded weight as codes.
class WeightReader {
 public:
  WeightReader(const WeightCodes& codes, int64_t outputs, int64_t depth, const float* weight)
      : codes_(codes), depth_(depth), weight_(weight) {
    for (int64_t i = 0; i < outputs * depth; ++i) {
      const float scale = Scale(i / std::max<int64_t>(depth, 1));
      const double code = std::nearbyint(static_cast<double>(weight[i]) / scale);
      if (code >= codes.least && code <= codes.most) continue;
      status_ = absl::OutOfRangeError(absl::StrCat("weight ", i, " is ", weight[i], ", whose code ",
                                                   code, " is none of the format's, ", codes.least,
                                                   " to ", codes.most));
      return;
    }
  }

  const absl::Status& status() const { return status_; }
  float Scale(int64_t output) const {
    return codes_.scales.size() == 1 ? codes_.scales[0] : codes_.scales[output];
  }
  int Code(int64_t output, int64_t k) const {
    return static_cast<int>(
        std::nearbyint(static_cast<double>(weight_[output * depth_ + k]) / Scale(output)));
  }

 private:
  const WeightCodes& codes_;
  const int64_t depth_;
  const float* weight_;
  absl::Status status_;
};

// What the kernels of layers share: facts for reports.
class ProductKernel : public Kernel {
 public:
  KernelFacts facts() const override {
    return {.isa = IntegerIsaName(isa_), .sum_bits = bound_.bits(), .bias = bound_.bias};
  }

 protected:
  ProductKernel(IntegerIsa isa, int64_t macs) : isa_(isa), macs_(macs) {}

  IntegerIsa isa_;  // Of the inner loop.
  const int64_t macs_;
  SumBound bound_;
};

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_PRODUCT_H_
