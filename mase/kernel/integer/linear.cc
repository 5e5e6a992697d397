// "integer_linear": linear layers on codes.
#include <algorithm>
#include <cstring>
#include <memory>

#include "mase/base/isa.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/integer/product.h"

namespace mase {
namespace {

class IntegerLinearKernel final : public ProductKernel {
 public:
  explicit IntegerLinearKernel(const KernelSpec& spec)
      : IntegerLinearKernel(spec, spec.attributes->Int("in_features"),
                            spec.attributes->Int("out_features")) {}

  absl::Status Prepare(const KernelArgs& args) override {
    const WeightReader weight(weight_codes_, out_, in_, args.Tensor<float>(weight_));
    MASE_RETURN_IF_ERROR(weight.status());
    char* prepared = args.Prepared<char>();
    bound_ = {};
    const float* bias = bias_ < 0 ? nullptr : args.Tensor<float>(bias_);
    MASE_RETURN_IF_ERROR(gemm_.Pack(
        [&](int64_t o, int64_t, int64_t k) { return weight.Code(o, k); },
        [&](int64_t o) { return src_codes_.scale * weight.Scale(o); }, bias, prepared, &bound_));
    return epilogue_.Prepare(args, SumRange(src_codes_, weight_codes_, bias, out_),
                             reinterpret_cast<float*>(prepared + epilogue_at_));
  }

  absl::Status Forward(const KernelArgs& args) override {
    const char* prepared = args.Prepared<char>();
    const char* src = static_cast<const char*>(args.srcs[0]);
    if (!gemm_.reads_bytes()) {
      gemm_.Convert(src, rows_, in_, args.scratch);
      src = args.Scratch<char>();
    }
    const Epilogue::Loop epilogue =
        epilogue_.MakeLoop(reinterpret_cast<const float*>(prepared + epilogue_at_));
    const int64_t stride = gemm_.RowBytes(in_);
    gemm_.ForParts(rows_, gemm_.tile_rows(), macs_, [&](const TilePart& part) {
      const auto find_rows = [=](int64_t first, int64_t count, const auto& set) {
        for (int64_t r = 0; r < count; ++r) set(r, 0, src + (first + r) * stride);
      };
      gemm_.Run(prepared, part, find_rows, nullptr,
                {epilogue, epilogue_.stores_bytes(), args.dst, out_, 0, 0});
    });
    return absl::OkStatus();
  }

 private:
  IntegerLinearKernel(const KernelSpec& spec, int64_t in, int64_t out)
      : ProductKernel(CurrentIntegerIsa(), spec.dst.elements() * in),
        in_(in),
        out_(out),
        rows_(spec.dst.elements() / std::max<int64_t>(out, 1)),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        src_codes_(*spec.srcs[0].codes),
        weight_codes_(spec.weight),
        gemm_(*spec.srcs[0].codes,
              FactorsOf(*spec.srcs[0].codes, spec.weight.least, spec.weight.most, in), 1, in, out),
        epilogue_(spec, out),
        epilogue_at_(RoundUp64(gemm_.packed_bytes())) {
    prepared_bytes_ = epilogue_at_ + (epilogue_.prepared_floats() + kEpilogueLanes) * 4;
    isa_ = gemm_.isa();
    if (!gemm_.reads_bytes()) scratch_bytes_ = gemm_.ConvertedBytes(rows_, in_);
  }

  const int64_t in_, out_, rows_;
  const int weight_, bias_;
  const Codes src_codes_;
  const WeightCodes weight_codes_;
  IntegerGemm gemm_;
  const Epilogue epilogue_;
  const int64_t epilogue_at_;
};

}  // namespace

KernelOr MakeIntegerLinear(const KernelSpec& spec) {
  return std::make_unique<IntegerLinearKernel>(spec);
}

}  // namespace mase
