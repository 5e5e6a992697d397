// "pick_rows": the rows of a batch out of those of a data set, in the element type of the
// arithmetic. srcs[0] is the data, srcs[1], if given, int64 [rows]: which of its rows; else the
// first. Ids in a data set of numbers are those numbers, which must be whole. No gradient: data is
// not trained.
#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

template <typename From, typename To>
class PickRowsKernel final : public Kernel {
 public:
  explicit PickRowsKernel(const KernelSpec& spec)
      : rows_(spec.dst.shape[0]),
        row_elements_(rows_ == 0 ? 0 : spec.dst.elements() / rows_),
        picks_(spec.srcs.size() > 1) {}

  absl::Status Forward(const KernelArgs& args) override {
    const From* data = args.Src<From>(0);
    const int64_t* index = picks_ ? args.Src<int64_t>(1) : nullptr;
    const auto row = [&](int64_t i) {
      return data + (index == nullptr ? i : index[i]) * row_elements_;
    };
    To* dst = args.Dst<To>();
    for (int64_t i = 0; i < rows_; ++i, dst += row_elements_) {
      // Picked rows are far apart; ask for one before it is needed.
      if (i + kAhead < rows_) __builtin_prefetch(row(i + kAhead));
      if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
        for (int64_t k = 0; k < row_elements_; ++k) {
          const From number = row(i)[k];
          if (!(std::abs(number) <= kLargestId) || number != std::floor(number)) {
            return absl::OutOfRangeError(
                absl::StrCat(number, " in place ", k,
                             rows_ == 1 ? "" : absl::StrCat(" of row ", i, " of the batch"),
                             " is no id: want whole numbers up to ", int64_t{kLargestId}));
          }
          dst[k] = static_cast<To>(number);
        }
      } else if (row_elements_ == 1) {
        *dst = static_cast<To>(*row(i));
      } else {
        std::copy_n(row(i), row_elements_, dst);
      }
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kAhead = 16;
  static constexpr int kLargestId = 1 << 24;  // Behind it float32 has gaps.

  const int64_t rows_, row_elements_;
  const bool picks_;
};

KernelOr PickIds(const KernelSpec& spec) {
  switch (spec.srcs[0].dtype) {
    case DType::kFloat32:
      return std::make_unique<PickRowsKernel<float, int64_t>>(spec);
    case DType::kFloat64:
      return std::make_unique<PickRowsKernel<double, int64_t>>(spec);
    default:
      return std::make_unique<PickRowsKernel<int64_t, int64_t>>(spec);
  }
}

}  // namespace

std::vector<KernelEntry> PickRowsTrainingKernels() {
  constexpr absl::string_view kName = "pick_rows";
  return {Entry<float, PickRowsKernel<float, float>>(kName),
          Entry<double, PickRowsKernel<float, double>>(kName),
          {kName, DType::kInt64, PickIds}};
}

}  // namespace mase
