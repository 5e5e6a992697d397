// A kernel alone, with what an executor does around it, and how its results are judged: against the
// reference in double, in every layout; gradients against central differences of the reference.
//
// Tolerance of float: |y - reference| <= 4 * 2^-23 * S. S is the sum of the magnitudes of the terms
// where the op is a product (the reference run on magnitudes), else 1 + the largest |result|; for
// gradients, which sum over results, 4 * 2^-23 * (1 + the sum of |diff| + the largest |gradient|).
//
//   CheckAll({{"softmax", {{3, 5}}, {{"dim", int64_t{1}}}}});
#ifndef MASE_KERNEL_KERNEL_CHECK_H_
#define MASE_KERNEL_KERNEL_CHECK_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "mase/kernel/kernel.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/reference_kernels.h"

namespace mase {

using Ints = std::vector<int64_t>;

// An op over inputs of these shapes. Attributes that are left out are the op's defaults.
struct KernelCase {
  std::string op;
  std::vector<Shape> inputs;
  Attributes attributes = {};
  double range = 2;  // Inputs are over [-range, range).

  std::string Name() const;
};

// Attributes of conv1d and conv2d.
inline Attributes Conv(int64_t in, int64_t out, Ints kernel, Ints stride, Ints padding,
                       Ints dilation, int64_t groups = 1, bool bias = true) {
  return {{"in_channels", in},  {"out_channels", out},  {"kernel_size", kernel}, {"stride", stride},
          {"padding", padding}, {"dilation", dilation}, {"groups", groups},      {"bias", bias}};
}

// A case made concrete: all attributes, random inputs and tensors, the result's shape.
struct Problem {
  std::string op;
  Attributes attributes;
  std::vector<Array> inputs;
  std::vector<NamedArray> tensors;
  std::vector<bool> is_buffer;
  Shape dst;
};

// The same numbers for the same case.
Problem MakeProblem(const KernelCase& c);

// The kernel's float32 and float64 results and gradients of all inputs and tensors.
void CheckForward(const KernelCase& c);
void CheckBackward(const KernelCase& c);

// Both of each case, up to the first that fails.
void CheckAll(const std::vector<KernelCase>& cases);

// Products of which central differences would take long: against the loops in double, which other
// tests check; with bfloat16, against those of the rounded operands.
void CheckProduct(const KernelCase& c, bool bfloat16);

template <typename T>
struct Results {
  std::vector<T> dst;
  std::vector<std::vector<T>> diff_srcs, diff_tensors, tensors;
};

template <typename T>
struct Buffer {
  explicit Buffer(int64_t size) : storage(size + 16, T(7e6)) {
    // Aligned, and full of what must not show.
    void* begin = storage.data();
    size_t room = storage.size() * sizeof(T);
    data = static_cast<T*>(std::align(64, size * sizeof(T), begin, room));
  }
  Buffer(Buffer&&) noexcept = default;
  std::vector<T> storage;
  T* data;
};

// What the executor does around a kernel, for one.
template <typename T>
class Harness {
 public:
  Harness(const Problem& problem, bool training, Layout offered, bool bfloat16 = false,
          int sum_bits = 0)
      : problem_(problem) {
    spec_ = {.op = problem.op,
             .attributes = &problem.attributes,
             .training = training,
             .bfloat16 = bfloat16,
             .sum_bits = sum_bits};
    for (const Array& input : problem.inputs) {
      const bool fits = input.shape.rank() >= 3 &&
                        (offered == Layout::kChannelsLast || input.shape[1] % ChannelBlock() == 0);
      spec_.srcs.push_back({input.shape, fits ? offered : Layout::kPlain, DTypeOf<T>::value});
    }
    spec_.dst = {problem.dst, Layout::kPlain, DTypeOf<T>::value};
    for (const NamedArray& tensor : problem.tensors) spec_.tensors.push_back(tensor.name);
    auto kernel = CreateKernel(spec_);
    EXPECT_OK(kernel);
    kernel_ = *std::move(kernel);
  }

  std::string implementation() const { return std::string(kernel_->facts().implementation); }

  Results<T> Run(const std::vector<double>& diff_dst) {
    Results<T> results;
    std::vector<Buffer<T>> srcs, diff_srcs, tensors, diff_tensors;
    for (size_t i = 0; i < problem_.inputs.size(); ++i) {
      srcs.push_back(InLayout(problem_.inputs[i], kernel_->src_layout(static_cast<int>(i))));
      diff_srcs.emplace_back(problem_.inputs[i].shape.elements());
    }
    for (const NamedArray& tensor : problem_.tensors) {
      tensors.push_back(InLayout(tensor.array, Layout::kPlain));
      diff_tensors.emplace_back(tensor.array.shape.elements());
    }
    Buffer<T> dst(problem_.dst.elements()), prepared(Elements(kernel_->prepared_bytes())),
        workspace(Elements(kernel_->workspace_bytes())),
        scratch(Elements(kernel_->scratch_bytes()));
    const auto src_pointers = Pointers(srcs), diff_src_pointers = Pointers(diff_srcs),
               tensor_pointers = Pointers(tensors), diff_tensor_pointers = Pointers(diff_tensors);
    BackwardArgs args;
    args.srcs = src_pointers.data();
    args.tensors = tensor_pointers.data();
    args.dst = dst.data;
    args.prepared = prepared.data;
    args.workspace = workspace.data;
    args.scratch = scratch.data;
    EXPECT_OK(kernel_->Prepare(args));
    EXPECT_OK(kernel_->Forward(args));
    results.dst = Plain(dst, problem_.dst, kernel_->dst_layout());
    for (size_t i = 0; i < tensors.size(); ++i) {
      results.tensors.push_back(Plain(tensors[i], problem_.tensors[i].array.shape, Layout::kPlain));
    }
    if (!spec_.training) return results;
    EXPECT_TRUE(kernel_->has_backward());
    const Buffer<T> diff = InLayout({problem_.dst, diff_dst}, kernel_->dst_layout());
    // Only what the kernel says that it reads.
    const std::vector<void*> nothing(srcs.size(), nullptr);
    if (!kernel_->reads_src()) args.srcs = nothing.data();
    if (!kernel_->reads_dst()) args.dst = nullptr;
    args.diff_dst = diff.data;
    args.diff_srcs = diff_src_pointers.data();
    args.diff_tensors = diff_tensor_pointers.data();
    EXPECT_OK(kernel_->Backward(args));
    for (size_t i = 0; i < srcs.size(); ++i) {
      results.diff_srcs.push_back(
          Plain(diff_srcs[i], problem_.inputs[i].shape, kernel_->src_layout(static_cast<int>(i))));
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      results.diff_tensors.push_back(
          Plain(diff_tensors[i], problem_.tensors[i].array.shape, Layout::kPlain));
    }
    return results;
  }

 private:
  static int64_t Elements(int64_t bytes) { return bytes / static_cast<int64_t>(sizeof(T)) + 1; }

  static std::vector<void*> Pointers(const std::vector<Buffer<T>>& buffers) {
    std::vector<void*> pointers;
    for (const Buffer<T>& buffer : buffers) pointers.push_back(buffer.data);
    return pointers;
  }

  static void Reorder(const TensorDesc& from, Layout to, const T* src, T* dst) {
    const void* srcs[] = {src};
    EXPECT_OK(MakeReorderKernel(from, to)->Forward({.srcs = srcs, .dst = dst}));
  }

  static Buffer<T> InLayout(const Array& array, Layout layout) {
    Buffer<T> plain(array.shape.elements());
    std::copy(array.values.begin(), array.values.end(), plain.data);
    if (layout == Layout::kPlain) return plain;
    Buffer<T> blocked(array.shape.elements());
    Reorder({array.shape, Layout::kPlain, DTypeOf<T>::value}, layout, plain.data, blocked.data);
    return blocked;
  }

  static std::vector<T> Plain(const Buffer<T>& buffer, const Shape& shape, Layout layout) {
    std::vector<T> values(shape.elements());
    if (layout == Layout::kPlain) {
      std::copy_n(buffer.data, values.size(), values.data());
    } else {
      Reorder({shape, layout, DTypeOf<T>::value}, Layout::kPlain, buffer.data, values.data());
    }
    return values;
  }

  const Problem& problem_;
  KernelSpec spec_;
  std::unique_ptr<Kernel> kernel_;
};
}  // namespace mase

#endif  // MASE_KERNEL_KERNEL_CHECK_H_
