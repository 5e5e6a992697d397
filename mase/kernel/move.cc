// Ops that move elements: permute, transpose, cat; and mean, which walks axes the same way.
#include <algorithm>
#include <array>
#include <vector>

#include "mase/base/limits.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

int64_t FromFront(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

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
class PermuteKernel final : public Kernel {
 public:
  explicit PermuteKernel(const KernelSpec& spec) : shape_(spec.dst.shape) {
    const std::vector<int64_t> src_strides = RowMajorStrides(spec.srcs[0].shape);
    for (const int64_t axis : Permutation(spec)) strides_.push_back(src_strides[axis]);
    if (shape_.rank() == 0) shape_ = {1}, strides_ = {1};
    has_backward_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForLines([&](int64_t dst, int64_t src, int64_t extent, int64_t stride) {
      for (int64_t i = 0; i < extent; ++i)
        args.Dst<T>()[dst + i] = args.Src<T>(0)[src + i * stride];
    });
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
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
class CatKernel final : public Kernel {
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
    has_backward_ = true;
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

  absl::Status Backward(const BackwardArgs& args) override {
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

// Mean over the axes in `dims`. Sums are kept in double.
template <typename T>
class MeanKernel final : public Kernel {
 public:
  explicit MeanKernel(const KernelSpec& spec)
      : shape_(spec.srcs[0].shape), results_(spec.dst.elements()) {
    std::vector<bool> reduced(shape_.rank(), false);
    for (const int64_t axis : spec.attributes->Ints("dims")) {
      reduced[FromFront(axis, shape_.rank())] = true;
    }
    strides_.assign(shape_.rank(), 0);
    int64_t stride = 1;
    for (int i = shape_.rank() - 1; i >= 0; --i) {
      if (reduced[i]) {
        count_ *= shape_[i];
      } else {
        strides_[i] = stride;
        stride *= shape_[i];
      }
    }
    scratch_bytes_ = results_ * static_cast<int64_t>(sizeof(double));
    has_backward_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    double* sums = args.Scratch<double>();
    std::fill_n(sums, results_, 0.0);
    ForElements([&](int64_t src, int64_t dst) { sums[dst] += args.Src<T>(0)[src]; });
    for (int64_t i = 0; i < results_; ++i) {
      args.Dst<T>()[i] = static_cast<T>(sums[i] / static_cast<double>(count_));
    }
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    T* diff_src = args.DiffSrc<T>(0);
    if (diff_src == nullptr) return absl::OkStatus();
    const T share = static_cast<T>(1.0 / static_cast<double>(count_));
    ForElements([&](int64_t src, int64_t dst) { diff_src[src] = args.DiffDst<T>()[dst] * share; });
    return absl::OkStatus();
  }

 private:
  template <typename Body>
  void ForElements(const Body& body) const {
    std::array<int64_t, limits::kMaxTensorRank> index = {};
    int64_t dst = 0;
    const int64_t elements = shape_.elements();
    for (int64_t src = 0; src < elements; ++src) {
      body(src, dst);
      for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
        dst += strides_[axis];
        if (++index[axis] < shape_[axis]) break;
        dst -= strides_[axis] * shape_[axis];
        index[axis] = 0;
      }
    }
  }

  const Shape shape_;
  const int64_t results_;
  int64_t count_ = 1;
  std::vector<int64_t> strides_;  // Of the result, along the input's axes; 0 if reduced.
};

}  // namespace

std::vector<KernelEntry> MoveKernels() {
  const auto moves = []<typename T>() -> std::vector<KernelEntry> {
    return {
        Entry<T, PermuteKernel<T>>("permute"),
        Entry<T, PermuteKernel<T>>("transpose"),
        Entry<T, CatKernel<T>>("cat"),
    };
  };
  std::vector<KernelEntry> entries = ForFloats(moves);
  // Codes (codes.h) are moved as they are.
  for (const auto& codes : {moves.operator()<uint8_t>(), moves.operator()<int32_t>()}) {
    entries.insert(entries.end(), codes.begin(), codes.end());
  }
  entries.push_back(Entry<float, MeanKernel<float>>("mean"));
  entries.push_back(Entry<double, MeanKernel<double>>("mean"));
  return entries;
}

}  // namespace mase
