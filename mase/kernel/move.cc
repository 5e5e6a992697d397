// Ops that move all elements: permute, transpose, cat.
#include <algorithm>
#include <vector>

#include "mase/base/parallel.h"
#include "mase/kernel/axes.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// The axis of the input that becomes each axis of the result.
std::vector<int64_t> Permutation(const KernelSpec& spec) {
  const int rank = spec.dst.shape.rank();
  if (spec.op == "permute") {
    std::vector<int64_t> dims = spec.attributes->Ints("dims");
    for (int64_t& axis : dims) axis = FromFront(axis, rank);
    return dims;
  }
  std::vector<int64_t> dims(rank);
  for (int i = 0; i < rank; ++i) dims[i] = i;
  std::swap(dims[FromFront(spec.attributes->Int("dim0"), rank)],
            dims[FromFront(spec.attributes->Int("dim1"), rank)]);
  return dims;
}

template <typename T>
class PermuteKernel : public Kernel {
 public:
  explicit PermuteKernel(const KernelSpec& spec) : shape_(spec.dst.shape) {
    const std::vector<int64_t> src_strides = RowMajorStrides(spec.srcs[0].shape);
    for (const int64_t axis : Permutation(spec)) strides_.push_back(src_strides[axis]);
    if (shape_.rank() == 0) shape_ = {1}, strides_ = {1};
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForLines([&](int64_t dst, int64_t src, int64_t extent, int64_t stride) {
      for (int64_t i = 0; i < extent; ++i)
        args.Dst<T>()[dst + i] = args.Src<T>(0)[src + i * stride];
    });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    T* diff_src = args.DiffSrc<T>(0);
    if (diff_src == nullptr) return absl::OkStatus();
    ForLines([&](int64_t dst, int64_t src, int64_t extent, int64_t stride) {
      for (int64_t i = 0; i < extent; ++i) diff_src[src + i * stride] = args.DiffDst<T>()[dst + i];
    });
    return absl::OkStatus();
  }

 private:
  // Calls body(first of dst, first of src, extent, stride of src) for lines of the last axis.
  template <typename Body>
  void ForLines(const Body& body) const {
    const int last = shape_.rank() - 1;
    const int64_t extent = shape_[last];
    if (shape_.elements() == 0) return;
    ParallelFor(shape_.elements() / extent, kElementGrain / extent + 1,
                [&](int64_t begin, int64_t end) {
                  for (int64_t line = begin; line < end; ++line) {
                    int64_t rest = line, src = 0;
                    for (int axis = last - 1; axis >= 0; --axis) {
                      src += rest % shape_[axis] * strides_[axis];
                      rest /= shape_[axis];
                    }
                    body(line * extent, src, extent, strides_[last]);
                  }
                });
  }

  Shape shape_;
  std::vector<int64_t> strides_;  // Of the input, along the result's axes.
};

// Each input is [outer, width_i]; the result is their rows side by side.
template <typename T>
class CatKernel : public Kernel {
 public:
  explicit CatKernel(const KernelSpec& spec) {
    const int axis =
        static_cast<int>(FromFront(spec.attributes->Int("dim"), spec.srcs[0].shape.rank()));
    for (int i = 0; i < axis; ++i) outer_ *= spec.dst.shape[i];
    for (const TensorDesc& src : spec.srcs) {
      int64_t width = 1;
      for (int i = axis; i < src.shape.rank(); ++i) width *= src.shape[i];
      widths_.push_back(width);
      total_ += width;
    }
  }

  absl::Status Forward(const KernelArgs& args) override {
    T* dst = args.Dst<T>();
    for (size_t i = 0; i < widths_.size(); dst += widths_[i++]) {
      for (int64_t row = 0; row < outer_; ++row) {
        std::copy_n(args.Src<T>(i) + row * widths_[i], widths_[i], dst + row * total_);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    const T* diff_dst = args.DiffDst<T>();
    for (size_t i = 0; i < widths_.size(); diff_dst += widths_[i++]) {
      if (args.DiffSrc<T>(i) == nullptr) continue;
      for (int64_t row = 0; row < outer_; ++row) {
        std::copy_n(diff_dst + row * total_, widths_[i], args.DiffSrc<T>(i) + row * widths_[i]);
      }
    }
    return absl::OkStatus();
  }

 private:
  int64_t outer_ = 1, total_ = 0;
  std::vector<int64_t> widths_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<PermuteKernel<T>>>("permute"),
      Entry<T, As<PermuteKernel<T>>>("transpose"),
      Entry<T, As<CatKernel<T>>>("cat"),
  };
};

}  // namespace

std::vector<KernelEntry> MoveKernels() {
  std::vector<KernelEntry> entries = ForInference(kOps);
  // Codes (codes.h) are moved as they are.
  // So are numbers of nodes that no arithmetic touches, such as ids.
  for (const auto& others : {kOps.operator()<uint8_t, Alone>(), kOps.operator()<int32_t, Alone>(),
                             kOps.operator()<int64_t, Alone>()}) {
    entries.insert(entries.end(), others.begin(), others.end());
  }
  return entries;
}
std::vector<KernelEntry> MoveTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
