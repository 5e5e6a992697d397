// "integer_matmul": products of two tensors on codes, of which the second is packed at each call.
#include <algorithm>
#include <cstring>
#include <memory>

#include "mase/base/isa.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/integer/product.h"
#include "mase/kernel/matmul_batch.h"

namespace mase {
namespace {

class IntegerMatmulKernel final : public ProductKernel {
 public:
  explicit IntegerMatmulKernel(const KernelSpec& spec)
      : IntegerMatmulKernel(spec,
                            WholeProduct(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape)) {}

  absl::Status Forward(const KernelArgs& args) override {
    const char* a = static_cast<const char*>(args.srcs[0]);
    char* packed = args.Scratch<char>();
    if (!gemm_.reads_bytes()) {
      gemm_.Convert(a, a_rows_, depth_, packed + words_at_);
      a = packed + words_at_;
    }
    const Epilogue::Loop epilogue = epilogue_.MakeLoop(nullptr);
    const int64_t stride = gemm_.RowBytes(depth_);
    SumBound unused;
    for (size_t i = 0; i < batch_.size(); ++i) {
      if (i == 0 || batch_[i].b != batch_[i - 1].b) {
        MASE_RETURN_IF_ERROR(
            PackEntry(args.srcs[1], batch_[i].b * depth_ * cols_, packed, &unused));
      }
      const char* from = a + batch_[i].a * rows_ * stride;
      const int64_t first = static_cast<int64_t>(i) * rows_;
      gemm_.ForParts(rows_, gemm_.tile_rows(), rows_ * cols_ * depth_, [&](TilePart part) {
        part.begin += first;
        part.end += first;
        const auto find_rows = [=](int64_t row, int64_t count, const auto& set) {
          for (int64_t r = 0; r < count; ++r) set(r, 0, from + (row - first + r) * stride);
        };
        gemm_.Run(packed, part, find_rows, nullptr,
                  {epilogue, epilogue_.stores_bytes(), args.dst, cols_, 0, 0});
      });
    }
    return absl::OkStatus();
  }

 private:
  IntegerMatmulKernel(const KernelSpec& spec, const Shape& dst)
      : ProductKernel(CurrentIntegerIsa(), dst.elements() * spec.srcs[0].shape[-1]),
        rows_(dst[-2]),
        cols_(dst[-1]),
        depth_(spec.srcs[0].shape[-1]),
        a_rows_(spec.srcs[0].elements() / std::max<int64_t>(depth_, 1)),
        batch_(BroadcastBatch(spec.srcs[0].shape, spec.srcs[1].shape, dst)),
        scale_(spec.srcs[0].codes->scale * spec.srcs[1].codes->scale),
        b_codes_(*spec.srcs[1].codes),
        gemm_(*spec.srcs[0].codes,
              // Bits would be put together again at each call.
              std::max(Factors::kBytes,
                       FactorsOf(*spec.srcs[0].codes, b_codes_.least(), b_codes_.most(), depth_)),
              1, depth_, cols_),
        epilogue_(spec, cols_),
        words_at_(RoundUp64(gemm_.packed_bytes())) {
    scratch_bytes_ = words_at_;
    isa_ = gemm_.isa();
    if (!gemm_.reads_bytes()) scratch_bytes_ += gemm_.ConvertedBytes(a_rows_, depth_);
    const double a = std::max(std::abs(spec.srcs[0].codes->least()), spec.srcs[0].codes->most());
    const double b = std::max(std::abs(b_codes_.least()), b_codes_.most());
    bound_.Include(-a * b * static_cast<double>(depth_), a * b * static_cast<double>(depth_));
  }

  absl::Status PackEntry(const void* b, int64_t offset, char* packed, SumBound* bound) {
    const auto pack = [&](const auto* codes) {
      return gemm_.Pack(
          [&](int64_t c, int64_t, int64_t k) {
            return static_cast<int>(codes[offset + k * cols_ + c]) - b_codes_.zero;
          },
          [&](int64_t) { return scale_; }, nullptr, packed, bound);
    };
    return b_codes_.is_byte() ? pack(static_cast<const uint8_t*>(b))
                              : pack(static_cast<const int32_t*>(b));
  }

  const int64_t rows_, cols_, depth_, a_rows_;
  const std::vector<BatchEntry> batch_;
  const float scale_;
  const Codes b_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t words_at_;
};

}  // namespace

KernelOr MakeIntegerMatmul(const KernelSpec& spec) {
  return std::make_unique<IntegerMatmulKernel>(spec);
}

}  // namespace mase
