// Ops whose results are chosen elements of their inputs: slice, index_select, expand, pad;
// embedding, which chooses rows of a table; where, which chooses between two tensors.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/parallel.h"
#include "mase/graph/slice.h"
#include "mase/kernel/axes.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

constexpr int64_t kOutside = -1;

// Which element of an axis of `extent` pad has at place `i` of the padded axis.
int64_t PaddedIndex(const std::string& mode, int64_t i, int64_t extent) {
  if (i >= 0 && i < extent) return i;
  if (mode == "constant") return kOutside;
  if (mode == "replicate") return std::clamp<int64_t>(i, 0, extent - 1);
  if (mode == "reflect") return i < 0 ? -i : 2 * (extent - 1) - i;
  return (i % extent + extent) % extent;  // Circular.
}

// Along axis `axis` of the result (of `count` elements), the element of the input's axis.
std::vector<int64_t> ChosenIndices(const KernelSpec& spec, int axis) {
  const Shape& src = spec.srcs[0].shape;
  const Attributes& attributes = *spec.attributes;
  const int64_t count = spec.dst.shape[axis];
  std::vector<int64_t> chosen(count);
  if (spec.op == "expand") {
    const int own = axis - (spec.dst.shape.rank() - src.rank());
    const bool moves = own >= 0 && src[own] != 1;
    for (int64_t i = 0; i < count; ++i) chosen[i] = moves ? i : 0;
    return chosen;
  }
  if (spec.op == "pad") {
    const int64_t before = attributes.Ints("before")[axis];
    for (int64_t i = 0; i < count; ++i) {
      chosen[i] = PaddedIndex(attributes.String("mode"), i - before, src[axis]);
    }
    return chosen;
  }
  if (axis != FromFront(attributes.Int("dim"), src.rank())) {
    for (int64_t i = 0; i < count; ++i) chosen[i] = i;
    return chosen;
  }
  if (spec.op == "index_select") return attributes.Ints("index");
  const SlicedAxis slice = SliceOf(attributes, src[axis]);
  for (int64_t i = 0; i < count; ++i) chosen[i] = slice.first + i * slice.step;
  return chosen;
}

// Every axis of the result chooses by itself.
template <typename T>
class PickElementsKernel : public Kernel {
 public:
  explicit PickElementsKernel(const KernelSpec& spec)
      : shape_(spec.dst.shape), src_elements_(spec.srcs[0].elements()) {
    const std::vector<int64_t> strides = RowMajorStrides(spec.srcs[0].shape);
    const int added = shape_.rank() - spec.srcs[0].shape.rank();
    for (int axis = 0; axis < shape_.rank(); ++axis) {
      offsets_.push_back(ChosenIndices(spec, axis));
      for (int64_t& offset : offsets_.back()) {
        if (offset != kOutside) offset *= axis < added ? 0 : strides[axis - added];
      }
    }
    if (shape_.rank() == 0) shape_ = {1}, offsets_ = {{0}};
    if (const Attribute* value = spec.attributes->Find("value"); value != nullptr) {
      value_ = static_cast<T>(std::get<double>(*value));
    }
  }

  absl::Status Forward(const KernelArgs& args) override {
    const T* src = args.Src<T>(0);
    T* dst = args.Dst<T>();
    if (shape_.elements() == 0) return absl::OkStatus();
    const std::vector<int64_t>& last = offsets_.back();
    const int64_t extent = shape_[-1];
    ParallelFor(shape_.elements() / extent, kElementGrain / extent + 1,
                [&](int64_t begin, int64_t end) {
                  ForLines(shape_, begin, end, [&](int64_t first, const auto& index) {
                    const int64_t line = LineOffset(index);
                    for (int64_t i = 0; i < extent; ++i) {
                      const bool outside = line == kOutside || last[i] == kOutside;
                      dst[first + i] = outside ? value_ : src[line + last[i]];
                    }
                  });
                });
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    T* diff_src = args.DiffSrc<T>(0);
    if (diff_src == nullptr) return absl::OkStatus();
    std::fill_n(diff_src, src_elements_, T(0));
    if (shape_.elements() == 0) return absl::OkStatus();
    const std::vector<int64_t>& last = offsets_.back();
    const int64_t extent = shape_[-1];
    ForLines(shape_, 0, shape_.elements() / extent, [&](int64_t first, const auto& index) {
      const int64_t line = LineOffset(index);
      if (line == kOutside) return;
      for (int64_t i = 0; i < extent; ++i) {
        if (last[i] != kOutside) diff_src[line + last[i]] += args.DiffDst<T>()[first + i];
      }
    });
    return absl::OkStatus();
  }

 private:
  int64_t LineOffset(const std::vector<int64_t>& index) const {
    int64_t sum = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) {
      const int64_t offset = offsets_[axis][index[axis]];
      if (offset == kOutside) return kOutside;
      sum += offset;
    }
    return sum;
  }

  Shape shape_;
  const int64_t src_elements_;
  std::vector<std::vector<int64_t>> offsets_;  // In the input, by axis and place in the result.
  T value_ = 0;                                // Of what is outside.
};

template <typename T>
class EmbeddingKernel : public Kernel {
 public:
  explicit EmbeddingKernel(const KernelSpec& spec)
      : ids_(spec.srcs[0].elements()),
        rows_(spec.attributes->Int("num_embeddings")),
        width_(spec.attributes->Int("embedding_dim")) {
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    for (int64_t i = 0; i < ids_; ++i) {
      const int64_t id = args.Src<int64_t>(0)[i];
      if (id < -rows_ || id >= rows_) {
        return absl::OutOfRangeError(absl::StrCat("id ", id, " at position ", i,
                                                  " is none of the table's ", rows_, " rows"));
      }
      std::copy_n(args.Tensor<T>(0) + Row(id) * width_, width_, args.Dst<T>() + i * width_);
    }
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    T* diff = args.DiffTensor<T>(0);
    if (diff == nullptr) return absl::OkStatus();
    std::fill_n(diff, rows_ * width_, T(0));
    for (int64_t i = 0; i < ids_; ++i) {
      T* row = diff + Row(args.Src<int64_t>(0)[i]) * width_;
      for (int64_t k = 0; k < width_; ++k) row[k] += args.DiffDst<T>()[i * width_ + k];
    }
    return absl::OkStatus();
  }

 private:
  // Ids below 0 count from the last row, as in NumPy.
  int64_t Row(int64_t id) const { return id < 0 ? id + rows_ : id; }

  const int64_t ids_, rows_, width_;
};

template <typename T>
class WhereKernel : public Kernel {
 public:
  explicit WhereKernel(const KernelSpec& spec) : shape_(spec.dst.shape) {
    if (shape_.rank() == 0) shape_ = {1};
    for (const TensorDesc& src : spec.srcs) {
      const std::vector<int64_t> strides = RowMajorStrides(src.shape);
      std::vector<int64_t> own(shape_.rank(), 0);
      for (int axis = 1; axis <= src.shape.rank(); ++axis) {
        if (src.shape[-axis] != 1) own[shape_.rank() - axis] = strides[src.shape.rank() - axis];
      }
      strides_.push_back(std::move(own));
      elements_.push_back(src.elements());
    }
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForElements([&](int64_t dst, const int64_t* at) {
      args.Dst<T>()[dst] =
          args.Src<T>(0)[at[0]] != 0 ? args.Src<T>(1)[at[1]] : args.Src<T>(2)[at[2]];
    });
    return absl::OkStatus();
  }

  // The condition has no slope.
  absl::Status Gradient(const BackwardArgs& args) {
    for (int i = 0; i < 3; ++i) {
      if (args.DiffSrc<T>(i) != nullptr) std::fill_n(args.DiffSrc<T>(i), elements_[i], T(0));
    }
    ForElements([&](int64_t dst, const int64_t* at) {
      const int chosen = args.Src<T>(0)[at[0]] != 0 ? 1 : 2;
      T* diff_src = args.DiffSrc<T>(chosen);
      if (diff_src != nullptr) diff_src[at[chosen]] += args.DiffDst<T>()[dst];
    });
    return absl::OkStatus();
  }

 private:
  template <typename Body>
  void ForElements(const Body& body) const {
    if (shape_.elements() == 0) return;
    ForLines(shape_, 0, shape_.elements() / shape_[-1], [&](int64_t first, const auto& index) {
      int64_t at[3] = {};
      for (int i = 0; i < 3; ++i) {
        for (size_t axis = 0; axis < index.size(); ++axis) at[i] += index[axis] * strides_[i][axis];
      }
      for (int64_t k = 0; k < shape_[-1]; ++k) {
        body(first + k, at);
        for (int i = 0; i < 3; ++i) at[i] += strides_[i].back();
      }
    });
  }

  Shape shape_;
  std::vector<std::vector<int64_t>> strides_;  // By input; 0 along axes that broadcast.
  std::vector<int64_t> elements_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<PickElementsKernel<T>>>("slice"),
      Entry<T, As<PickElementsKernel<T>>>("index_select"),
      Entry<T, As<PickElementsKernel<T>>>("expand"),
      Entry<T, As<PickElementsKernel<T>>>("pad"),
      Entry<T, As<EmbeddingKernel<T>>>("embedding"),
      Entry<T, As<WhereKernel<T>>>("where"),
  };
};

}  // namespace

std::vector<KernelEntry> PickElementsKernels() { return ForInference(kOps); }
std::vector<KernelEntry> PickElementsTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
