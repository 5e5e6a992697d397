// Every kernel against the reference in double, over odd shapes, in both layouts; every gradient
// against central differences of the reference.
//
// Tolerance of float: |y - reference| <= 4 * 2^-23 * S. S is the sum of the magnitudes of the terms
// where the op is a product (the reference run on magnitudes), else 1 + the largest |result|; for
// gradients, which sum over results, 4 * 2^-23 * (1 + the sum of |diff| + the largest |gradient|).
#include "mase/kernel/kernel.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/graph/op_schema.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/reference_kernels.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  std::string op;
  std::vector<Shape> inputs;
  Attributes attributes = {};
  double range = 2;  // Inputs are over [-range, range).

  std::string Name() const {
    std::string name = op;
    for (const Shape& shape : inputs) name += " " + shape.ToString();
    for (const auto& [key, value] : attributes) name += " " + key + "=" + AttributeToPython(value);
    return name;
  }
};

// A case made concrete: all attributes, random inputs and tensors, the result's shape.
struct Problem {
  std::string op;
  Attributes attributes;
  std::vector<Array> inputs;
  std::vector<NamedArray> tensors;
  std::vector<bool> is_buffer;
  Shape dst;
};

Array RandomArray(const Shape& shape, uint64_t seed, double low = -2, double high = 2) {
  const std::vector<float> unit = RandomValues(shape.elements(), seed);
  Array array = {shape, {}};
  for (const float u : unit) {
    array.values.push_back(static_cast<float>(low + (high - low) * (u + 1) / 2));
  }
  return array;
}

Problem MakeProblem(const Case& c) {
  Problem problem = {c.op, {}, {}, {}, {}, {}};
  const OpSchema& schema = *FindOp(c.op);
  for (const AttributeSpec& spec : schema.attributes) {
    problem.attributes.Set(spec.name, spec.fallback);
  }
  for (const auto& [name, value] : c.attributes) problem.attributes.Set(name, value);
  std::vector<ValueInfo> infos;
  for (const Shape& shape : c.inputs) {
    infos.push_back({DType::kFloat32, shape, std::nullopt});
    // Divisors, and what has logarithms and roots, away from 0.
    const size_t input = problem.inputs.size();
    const bool positive = (c.op == "div" && input == 1) || (c.op == "pow" && input == 0) ||
                          c.op == "log" || c.op == "sqrt" || c.op == "reciprocal";
    problem.inputs.push_back(
        RandomArray(shape, 10 + input, positive ? 0.5 : -c.range, positive ? 3 : c.range));
    if (c.op != "where" || input != 0) continue;
    for (double& condition : problem.inputs[0].values) condition = condition > 0;
  }
  problem.dst = ValueOrDie(schema.shape_rule(infos, problem.attributes))[0].shape;
  if (schema.parameter_rule == nullptr) return problem;
  for (const ParameterSpec& spec : schema.parameter_rule(problem.attributes)) {
    const bool positive = spec.init == ParameterSpec::Init::kOnes;
    problem.tensors.push_back({spec.name, RandomArray(spec.shape, 20 + problem.tensors.size(),
                                                      positive ? 0.5 : -1, positive ? 1.5 : 1)});
    problem.is_buffer.push_back(spec.buffer);
  }
  return problem;
}

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
  Harness(const Problem& problem, bool training, Layout offered, bool bfloat16 = false)
      : problem_(problem) {
    spec_ = {.op = problem.op,
             .attributes = &problem.attributes,
             .training = training,
             .bfloat16 = bfloat16};
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

  std::string implementation() const { return kernel_->facts().implementation; }

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

double Largest(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

bool IsProduct(absl::string_view op) {
  return op == "linear" || op == "matmul" || op == "bmm" || op == "conv1d" || op == "conv2d" ||
         op == "convtranspose2d";
}

Array Reference(const Problem& problem, bool training) {
  return ReferenceForward(problem.op, problem.attributes, problem.inputs, problem.tensors,
                          problem.dst, training);
}

// S of the file comment, for every result.
std::vector<double> Scales(const Problem& problem, const Array& reference) {
  if (!IsProduct(problem.op)) {
    return std::vector<double>(reference.values.size(), 1 + Largest(reference.values));
  }
  Problem magnitudes = problem;
  for (Array& input : magnitudes.inputs) {
    for (double& value : input.values) value = std::abs(value);
  }
  for (NamedArray& tensor : magnitudes.tensors) {
    for (double& value : tensor.array.values) value = std::abs(value);
  }
  std::vector<double> scales = Reference(magnitudes, false).values;
  // Winograd's convolution mixes neighbours.
  if (problem.op == "conv2d") std::fill(scales.begin(), scales.end(), Largest(scales));
  return scales;
}

constexpr double kFloatUlps = 4 * 0x1p-23;

// Gradient of sum(diff_dst * result) by one element, from the reference.
double Difference(Problem& problem, double& element, const std::vector<double>& diff_dst) {
  constexpr double kStep = 1e-5;
  const double before = element;
  const auto loss = [&](double value) {
    element = value;
    const Array y = Reference(problem, true);
    return std::inner_product(y.values.begin(), y.values.end(), diff_dst.begin(), 0.0);
  };
  const double slope = (loss(before + kStep) - loss(before - kStep)) / (2 * kStep);
  element = before;
  return slope;
}

void CheckForward(const Case& c) {
  const Problem problem = MakeProblem(c);
  for (const bool training : {false, true}) {
    const Array reference = Reference(problem, training);
    const std::vector<double> scales = Scales(problem, reference);
    const std::vector<double> diff_dst = RandomArray(problem.dst, 99).values;
    for (const Layout offered : {Layout::kPlain, Layout::kBlocked, Layout::kChannelsLast}) {
      const bool last = offered == Layout::kChannelsLast, blocked = offered == Layout::kBlocked;
      // Only float32 inference has it, and pools take it as it comes.
      if (last && (training || !absl::StrContains(c.op, "pool"))) continue;
      const auto single = Harness<float>(problem, training, offered).Run(diff_dst);
      const auto checking =
          Harness<double>(problem, training, last ? Layout::kPlain : offered).Run(diff_dst);
      ASSERT_EQ(single.dst.size(), reference.values.size());
      for (size_t i = 0; i < single.dst.size(); ++i) {
        const double want = reference.values[i];
        ASSERT_NEAR(single.dst[i], want, kFloatUlps * scales[i])
            << i << (blocked ? " blocked" : "");
        ASSERT_NEAR(checking.dst[i], want, 1e-12 * scales[i]) << i << (blocked ? " blocked" : "");
      }
    }
  }
}

// A few elements of every gradient, spread over it.
void CheckGradient(Problem& problem, std::vector<double>& variable,
                   const std::vector<double>& diff_dst, const std::vector<double>& checking,
                   const std::vector<float>& single, bool blocked, const std::string& name) {
  const double largest = Largest(checking);
  double diff_sum = 0;
  for (const double diff : diff_dst) diff_sum += std::abs(diff);
  for (size_t i = 0; i < variable.size(); ++i) {
    EXPECT_NEAR(single[i], checking[i], kFloatUlps * (1 + diff_sum + largest)) << name << " " << i;
  }
  if (blocked) return;
  const size_t step = variable.size() / 6 + 1;
  for (size_t i = 0; i < variable.size(); i += step) {
    EXPECT_NEAR(checking[i], Difference(problem, variable[i], diff_dst), 1e-6 * (1 + largest))
        << name << " " << i;
  }
}

void CheckBackward(const Case& c) {
  Problem problem = MakeProblem(c);
  const std::vector<double> diff_dst = RandomArray(problem.dst, 99).values;
  for (const bool blocked : {false, true}) {
    const auto single =
        Harness<float>(problem, true, blocked ? Layout::kBlocked : Layout::kPlain).Run(diff_dst);
    const auto checking = Harness<double>(problem, true, Layout::kPlain).Run(diff_dst);
    for (size_t i = 0; i < problem.inputs.size(); ++i) {
      CheckGradient(problem, problem.inputs[i].values, diff_dst, checking.diff_srcs[i],
                    single.diff_srcs[i], blocked, "src");
    }
    for (size_t i = 0; i < problem.tensors.size(); ++i) {
      if (problem.is_buffer[i]) continue;
      CheckGradient(problem, problem.tensors[i].array.values, diff_dst, checking.diff_tensors[i],
                    single.diff_tensors[i], blocked, problem.tensors[i].name);
    }
  }
}

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckForward(c);
    CheckBackward(c);
    if (::testing::Test::HasFailure()) return;
  }
}

// The nearest bfloat16 by another way than the kernels': eight digits, ties to even.
double Bfloat16(double value) {
  int exponent;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(fraction * 256) / 256, exponent);
}

// Products of which central differences would take long: against the loops in double, which other
// tests check; with bfloat16, against those of the rounded operands.
void CheckProduct(const Case& c, bool bfloat16) {
  const Problem problem = MakeProblem(c);
  Problem rounded = problem;
  const std::vector<double> diff_dst = RandomArray(problem.dst, 99).values;
  std::vector<double> rounded_diff = diff_dst;
  const auto round = [bfloat16](std::vector<double>& values) {
    for (double& value : values) value = bfloat16 ? Bfloat16(value) : value;
  };
  for (Array& input : rounded.inputs) round(input.values);
  for (NamedArray& tensor : rounded.tensors) {
    if (tensor.name != "bias") round(tensor.array.values);
  }
  round(rounded_diff);
  const auto checking = Harness<double>(rounded, true, Layout::kPlain).Run(rounded_diff);
  const std::vector<double> scales = Scales(rounded, {problem.dst, checking.dst});
  for (const bool blocked : {false, true}) {
    const auto single =
        Harness<float>(problem, true, blocked ? Layout::kBlocked : Layout::kPlain, bfloat16)
            .Run(diff_dst);
    for (size_t i = 0; i < single.dst.size(); ++i) {
      ASSERT_NEAR(single.dst[i], checking.dst[i], kFloatUlps * scales[i]) << i;
    }
    for (size_t i = 0; i < problem.inputs.size(); ++i) {
      CheckGradient(rounded, rounded.inputs[i].values, rounded_diff, checking.diff_srcs[i],
                    single.diff_srcs[i], /*blocked=*/true, "src");
    }
    for (size_t i = 0; i < problem.tensors.size(); ++i) {
      CheckGradient(rounded, rounded.tensors[i].array.values, rounded_diff,
                    checking.diff_tensors[i], single.diff_tensors[i], /*blocked=*/true,
                    problem.tensors[i].name);
    }
  }
}

Attributes Conv(int64_t in, int64_t out, Ints kernel, Ints stride, Ints padding, Ints dilation,
                int64_t groups = 1, bool bias = true) {
  return {{"in_channels", in},  {"out_channels", out},  {"kernel_size", kernel}, {"stride", stride},
          {"padding", padding}, {"dilation", dilation}, {"groups", groups},      {"bias", bias}};
}

Attributes Pool(Ints kernel, Ints stride, Ints padding, bool ceil_mode = false) {
  return {
      {"kernel_size", kernel}, {"stride", stride}, {"padding", padding}, {"ceil_mode", ceil_mode}};
}

TEST(KernelTest, UnaryOps) {
  std::vector<Case> cases;
  for (const char* op :
       {"relu", "relu6", "gelu", "selu", "elu", "silu", "tanh", "softsign", "softplus", "sigmoid",
        "logsigmoid", "hardswish", "hardsigmoid", "hardtanh", "hardshrink", "softshrink"}) {
    for (const Shape& shape : {Shape{0, 3}, Shape{}, Shape{1}, Shape{2, 16, 3}, Shape{7, 5}}) {
      cases.push_back({op, {shape}});
      cases.push_back({op, {shape}, {}, /*range=*/9});
    }
  }
  cases.push_back({"gelu", {{5, 3}}, {{"approximate", std::string("tanh")}}});
  cases.push_back({"softplus", {{5, 3}}, {{"beta", 2.0}, {"threshold", 1.0}}});
  cases.push_back({"elu", {{5, 3}}, {{"alpha", 0.5}}});
  CheckAll(cases);
}

TEST(KernelTest, BinaryOps) {
  std::vector<Case> cases;
  for (const char* op : {"add", "sub", "mul", "div"}) {
    cases.insert(cases.end(), {{op, {{3, 5}, {3, 5}}},
                               {op, {{2, 16, 3}, {2, 16, 3}}},
                               {op, {{2, 3, 4}, {4}}},
                               {op, {{2, 3, 4}, {2, 3, 1}}},
                               {op, {{4}, {2, 3, 4}}},
                               {op, {{2, 1, 4}, {1, 3, 1}}},
                               {op, {{2, 16, 3, 3}, {2, 16, 1, 1}}},
                               {op, {{}, {2, 2}}},
                               {op, {{}, {}}},
                               {op, {{0, 3}, {1, 3}}}});
  }
  CheckAll(cases);
}

TEST(KernelTest, Products) {
  const auto linear = [](int64_t in, int64_t out, bool bias) {
    return Attributes{{"in_features", in}, {"out_features", out}, {"bias", bias}};
  };
  CheckAll({
      {"linear", {{0, 3}}, linear(3, 2, true)},
      {"linear", {{1, 1}}, linear(1, 1, true)},
      {"linear", {{5, 16}}, linear(16, 5, true)},
      {"linear", {{9, 7}}, linear(7, 35, false)},
      {"linear", {{2, 3, 33}}, linear(33, 64, true)},
      {"linear", {{4}}, linear(4, 3, true)},
      {"linear", {{3, 130}}, linear(130, 67, true)},  // Beyond the plain loops.
      {"linear", {{1, 9000}}, linear(9000, 1, true)},
      {"linear", {{2, 1}}, linear(1, 9000, true)},
      {"matmul", {{3, 4}, {4, 5}}},
      {"matmul", {{2, 3, 4}, {2, 4, 5}}},
      {"matmul", {{2, 1, 3, 4}, {5, 4, 2}}},
      {"matmul", {{3, 4}, {2, 4, 1}}},
      {"matmul", {{1, 1}, {1, 1}}},
      {"matmul", {{0, 4}, {4, 5}}},
      {"bmm", {{2, 3, 4}, {2, 4, 5}}},
      {"bmm", {{0, 3, 4}, {0, 4, 5}}},
      {"matmul", {{3, 100}, {100, 90}}},
  });
}

Attributes ConvTranspose(int64_t in, int64_t out, Ints kernel, Ints stride, Ints padding,
                         Ints dilation = {1, 1}, Ints output_padding = {0, 0}, int64_t groups = 1,
                         bool bias = true) {
  return {{"in_channels", in},
          {"out_channels", out},
          {"kernel_size", kernel},
          {"stride", stride},
          {"padding", padding},
          {"dilation", dilation},
          {"output_padding", output_padding},
          {"groups", groups},
          {"bias", bias}};
}

TEST(KernelTest, TransposedConvolutions) {
  CheckAll({
      {"convtranspose2d", {{2, 3, 4, 5}}, ConvTranspose(3, 4, {3, 3}, {1, 1}, {0, 0})},
      {"convtranspose2d", {{2, 3, 4, 5}}, ConvTranspose(3, 4, {3, 2}, {2, 3}, {1, 0})},
      {"convtranspose2d",
       {{1, 4, 3, 3}},
       ConvTranspose(4, 6, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2)},
      {"convtranspose2d",
       {{3, 2, 3, 2}},
       ConvTranspose(2, 1, {2, 2}, {1, 1}, {1, 0}, {3, 2}, {0, 1}, 1, false)},
      {"convtranspose2d", {{2, 1, 1, 1}}, ConvTranspose(1, 1, {1, 1}, {1, 1}, {0, 0})},
      {"convtranspose2d", {{0, 2, 3, 3}}, ConvTranspose(2, 2, {2, 2}, {2, 2}, {0, 0})},
  });
}

TEST(KernelTest, Convolutions) {
  CheckAll({
      {"conv1d", {{2, 3, 7}}, Conv(3, 5, {3}, {1}, {1}, {1})},
      {"conv1d", {{1, 16, 9}}, Conv(16, 32, {3}, {2}, {0}, {2}, 1, false)},
      {"conv1d", {{0, 2, 4}}, Conv(2, 2, {2}, {1}, {0}, {1})},
      {"conv2d", {{2, 3, 6, 5}}, Conv(3, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 1, 8, 8}}, Conv(1, 16, {5, 5}, {2, 2}, {2, 2}, {1, 1})},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{2, 32, 4, 6}}, Conv(32, 16, {1, 1}, {2, 2}, {0, 0}, {1, 1})},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 7, {3, 2}, {1, 2}, {1, 0}, {1, 1})},
      {"conv2d", {{2, 5, 7, 6}}, Conv(5, 3, {2, 3}, {2, 1}, {0, 2}, {2, 1})},
      {"conv2d", {{1, 3, 9, 9}}, Conv(3, 8, {1, 1}, {4, 4}, {0, 0}, {1, 1})},  // stride > kernel
      {"conv2d", {{2, 6, 5, 5}}, Conv(6, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2)},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 16)},
      {"conv2d", {{1, 5, 5, 5}}, Conv(5, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 5, false)},
      {"conv2d", {{2, 32, 4, 4}}, Conv(32, 32, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 2)},
      {"conv2d", {{0, 3, 4, 4}}, Conv(3, 2, {3, 3}, {1, 1}, {0, 0}, {1, 1})},
      {"conv2d", {{9, 16, 3, 3}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{37, 3, 4, 4}}, Conv(3, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},  // Uneven parts.
      {"conv2d", {{9, 4, 6, 5}}, Conv(4, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 4, 6, 5}}, Conv(4, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{9, 20, 5, 5}}, Conv(20, 24, {3, 3}, {2, 2}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 16, 5, 5}}, Conv(16, 20, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv1d", {{9, 6, 33}}, Conv(6, 40, {3}, {1}, {1}, {1})},
  });
}

// Neither the numbers of channels nor which gradient is wanted lead to oneDNN's reference kernels,
// which take up to 400 times as long as those that it generates.
TEST(KernelTest, ConvolutionsOfAnyChannelsHaveGeneratedKernels) {
  if (ChannelBlock() != 16) return;  // What oneDNN has for other machines is its own matter.
  for (const int64_t in : {1, 3, 4, 8, 16, 20}) {
    for (const int64_t out : {4, 8, 10, 16, 20, 32}) {
      const Case c = {"conv2d", {{10, in, 14, 14}}, Conv(in, out, {3, 3}, {1, 1}, {1, 1}, {1, 1})};
      const Problem problem = MakeProblem(c);
      EXPECT_THAT(Harness<float>(problem, true, Layout::kPlain).implementation(),
                  ::testing::AllOf(::testing::StartsWith("oneDNN "), ::testing::HasSubstr(", "),
                                   ::testing::Not(::testing::HasSubstr("ref")),
                                   ::testing::Not(::testing::HasSubstr("gemm"))))
          << c.Name();
    }
  }
}

TEST(KernelTest, Pools) {
  std::vector<Case> cases;
  for (const std::string kind : {"max", "avg"}) {
    for (const int64_t channels : {3, 16}) {
      const std::vector<Case> fixed = {
          {kind + "_pool2d", {{2, channels, 6, 5}}, Pool({2, 2}, {2, 2}, {0, 0})},
          {kind + "_pool2d", {{2, channels, 6, 5}}, Pool({3, 3}, {2, 2}, {1, 1})},
          {kind + "_pool2d", {{1, channels, 6, 5}}, Pool({3, 2}, {2, 3}, {1, 0}, true)},
          {kind + "_pool2d", {{1, channels, 7, 7}}, Pool({2, 2}, {3, 3}, {1, 1}, true)},
          {kind + "_pool2d", {{1, channels, 1, 1}}, Pool({1, 1}, {1, 1}, {0, 0})},
          {kind + "_pool1d", {{2, channels, 9}}, Pool({3}, {2}, {1}, true)},
          {kind + "_pool2d", {{0, channels, 4, 4}}, Pool({2, 2}, {2, 2}, {0, 0})},
          {"adaptive_" + kind + "_pool2d", {{2, channels, 5, 7}}, {{"output_size", Ints{1, 1}}}},
          {"adaptive_" + kind + "_pool2d", {{2, channels, 4, 8}}, {{"output_size", Ints{2, 3}}}},
          {"adaptive_" + kind + "_pool2d", {{1, channels, 2, 2}}, {{"output_size", Ints{3, 4}}}},
          {"adaptive_" + kind + "_pool1d", {{2, channels, 7}}, {{"output_size", Ints{3}}}},
      };
      cases.insert(cases.end(), fixed.begin(), fixed.end());
    }
  }
  // Rows of many windows, of which kernels take several at once.
  for (const std::string kind : {"max", "avg"}) {
    for (const int64_t width : {8, 14, 28, 37, 70}) {
      cases.push_back({kind + "_pool2d", {{1, 2, 4, width}}, Pool({2, 2}, {2, 2}, {0, 0})});
      cases.push_back({kind + "_pool2d", {{1, 2, 5, width}}, Pool({3, 3}, {2, 2}, {1, 1}, true)});
      cases.push_back({kind + "_pool2d", {{1, 2, 4, width}}, Pool({2, 3}, {1, 1}, {0, 1})});
      cases.push_back({kind + "_pool1d", {{2, 3, width}}, Pool({2}, {2}, {1})});
    }
  }
  Attributes excluded = Pool({3, 3}, {2, 2}, {1, 1}, true);
  excluded.Set("count_include_pad", false);
  cases.push_back({"avg_pool2d", {{2, 3, 6, 5}}, excluded});
  CheckAll(cases);
}

// Rows of many windows, full of equal numbers and with a NaN here and there.
template <typename T>
void CheckFirstMaxima(int64_t channels, int64_t width) {
  constexpr int64_t kHeight = 6;
  Problem problem =
      MakeProblem({"max_pool2d", {{1, channels, kHeight, width}}, Pool({2, 2}, {2, 2}, {0, 0})});
  std::vector<double>& values = problem.inputs[0].values;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 31 == 7 ? std::nan("") : static_cast<double>(i * 7 % 5 / 2);
  }
  std::vector<double> diff(problem.dst.elements()), maxima, gradient(values.size());
  for (size_t i = 0; i < diff.size(); ++i) diff[i] = static_cast<double>(i + 1);
  for (int64_t y = 0; y < channels * kHeight; y += 2) {
    for (int64_t x = 0; x + 1 < width; x += 2) {
      int64_t best = y * width + x;
      for (const int64_t at : {best + 1, best + width, best + width + 1}) {
        if (values[at] > values[best] || std::isnan(values[at])) best = at;
      }
      gradient[best] += diff[maxima.size()];
      maxima.push_back(values[best]);
    }
  }
  const Results<T> results = Harness<T>(problem, true, Layout::kBlocked).Run(diff);
  const Results<T> at_rest = Harness<T>(problem, false, Layout::kBlocked).Run({});
  for (size_t i = 0; i < maxima.size(); ++i) {
    for (const double found : {double{results.dst[i]}, double{at_rest.dst[i]}}) {
      ASSERT_TRUE(found == maxima[i] || (std::isnan(found) && std::isnan(maxima[i]))) << i;
    }
  }
  for (size_t i = 0; i < gradient.size(); ++i) ASSERT_EQ(results.diff_srcs[0][i], gradient[i]) << i;
}

TEST(KernelTest, TheFirstMaximumOfAWindowGetsTheGradientAndNaNsWin) {
  for (const int64_t channels : {3, 16}) {
    for (const int64_t width : {4, 8, 14, 28, 37, 70}) {
      CheckFirstMaxima<float>(channels, width);
      CheckFirstMaxima<double>(channels, width);
    }
  }
}

TEST(KernelTest, BatchNorms) {
  std::vector<Case> cases;
  const auto features = [](int64_t n, bool affine, bool tracked) {
    return Attributes{{"num_features", n}, {"affine", affine}, {"track_running_stats", tracked}};
  };
  for (const bool affine : {true, false}) {
    for (const bool tracked : {true, false}) {
      cases.insert(cases.end(), {{"batch_norm1d", {{2, 5}}, features(5, affine, tracked)},
                                 {"batch_norm1d", {{140, 37}}, features(37, affine, tracked)},
                                 {"batch_norm1d", {{3, 4, 7}}, features(4, affine, tracked)},
                                 {"batch_norm1d", {{3, 16, 1}}, features(16, affine, tracked)},
                                 {"batch_norm2d", {{2, 3, 4, 5}}, features(3, affine, tracked)},
                                 {"batch_norm2d", {{2, 3, 4, 4}}, features(3, affine, tracked)},
                                 {"batch_norm2d", {{2, 5, 8, 9}}, features(5, affine, tracked)},
                                 {"batch_norm2d", {{3, 16, 9, 5}}, features(16, affine, tracked)},
                                 {"batch_norm2d", {{1, 32, 3, 3}}, features(32, affine, tracked)},
                                 {"batch_norm2d", {{2, 1, 40, 1}}, features(1, affine, tracked)},
                                 {"batch_norm2d", {{2, 20, 1, 1}}, features(20, affine, tracked)}});
    }
  }
  CheckAll(cases);
}

TEST(KernelTest, BatchNormsOfNoRows) {
  CheckForward({"batch_norm2d", {{0, 3, 2, 2}}, {{"num_features", int64_t{3}}}});
  CheckForward({"batch_norm1d", {{0, 3}}, {{"num_features", int64_t{3}}}});
}

TEST(KernelTest, BatchNormMovesRunningStatisticsTowardsTheBatch) {
  const Problem problem = MakeProblem({"batch_norm1d", {{4, 1}}, {{"num_features", int64_t{1}}}});
  Problem fixed = problem;
  fixed.inputs[0].values = {1, 2, 3, 6};  // Mean 3, squares around it 14: unbiased 14/3.
  fixed.tensors[2].array.values = {10};
  fixed.tensors[3].array.values = {1};
  fixed.tensors[4].array.values = {41};
  const auto trained = Harness<double>(fixed, true, Layout::kPlain).Run({0, 0, 0, 0});
  EXPECT_DOUBLE_EQ(trained.tensors[2][0], 0.9 * 10 + 0.1 * 3);
  EXPECT_DOUBLE_EQ(trained.tensors[3][0], 0.9 * 1 + 0.1 * 14 / 3);
  EXPECT_EQ(trained.tensors[4][0], 42);
  const auto evaluated = Harness<double>(fixed, false, Layout::kPlain).Run({});
  EXPECT_EQ(evaluated.tensors[2][0], 10);
  EXPECT_EQ(evaluated.tensors[4][0], 41);
}

TEST(KernelTest, OtherNorms) {
  const auto group = [](int64_t groups, int64_t channels) {
    return Attributes{{"num_groups", groups}, {"num_channels", channels}};
  };
  CheckAll({
      {"layer_norm", {{3, 7}}, {{"normalized_shape", Ints{7}}}},
      {"layer_norm",
       {{2, 3, 4}},
       {{"normalized_shape", Ints{3, 4}}, {"elementwise_affine", false}}},
      {"layer_norm", {{0, 7}}, {{"normalized_shape", Ints{7}}}},
      {"rms_norm", {{3, 7}}, {{"normalized_shape", Ints{7}}}},
      {"rms_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{3, 4}}, {"elementwise_affine", false}}},
      {"rms_norm", {{2, 3, 4}}, {{"normalized_shape", Ints{4}}, {"eps", 0.5}}},
      {"group_norm", {{2, 6, 5}}, group(3, 6)},
      {"group_norm", {{2, 16, 3, 3}}, group(1, 16)},
      {"group_norm", {{3, 4}}, group(2, 4)},
      {"instance_norm2d", {{2, 3, 4, 5}}, {{"num_features", int64_t{3}}}},
      {"instance_norm2d", {{2, 16, 3, 2}}, {{"num_features", int64_t{16}}, {"affine", true}}},
      {"instance_norm2d",
       {{2, 3, 4, 5}},
       {{"num_features", int64_t{3}}, {"affine", true}, {"track_running_stats", true}}},
  });
}

TEST(KernelTest, SoftmaxAndMoves) {
  CheckAll({
      {"softmax", {{3, 5}}, {{"dim", int64_t{1}}}},
      {"softmax", {{2, 3, 4}}, {{"dim", int64_t{-2}}}},
      {"softmax", {{0, 5}}, {{"dim", int64_t{1}}}},
      {"softmax", {{4}}, {{"dim", int64_t{0}}}},
      {"permute", {{2, 3, 4}}, {{"dims", Ints{2, 0, 1}}}},
      {"permute", {{2, 16, 3, 2}}, {{"dims", Ints{0, -2, -1, 1}}}},
      {"permute", {{5}}, {{"dims", Ints{0}}}},
      {"permute", {{0, 3}}, {{"dims", Ints{1, 0}}}},
      {"transpose", {{2, 3, 4}}, {{"dim0", int64_t{0}}, {"dim1", int64_t{-1}}}},
      {"cat", {{2, 3}, {2, 1}, {2, 4}}, {{"dim", int64_t{1}}}},
      {"cat", {{2, 3, 2}, {1, 3, 2}}, {{"dim", int64_t{0}}}},
      {"cat", {{2, 3}}, {{"dim", int64_t{-1}}}},
      {"mean", {{2, 3, 4}}, {{"dims", Ints{1, 2}}}},
      {"mean", {{2, 3, 4}}, {{"dims", Ints{-2}}, {"keepdim", true}}},
      {"mean", {{5}}, {{"dims", Ints{0}}}},
  });
}

TEST(KernelTest, FunctionsOfElements) {
  for (const char* op : {"leaky_relu", "abs", "ceil", "cos", "erf", "exp", "floor", "log", "neg",
                         "reciprocal", "round", "sin", "sqrt"}) {
    CheckAll({{op, {{3, 7}}}, {op, {{0, 7}}}, {op, {{2, 16, 3, 3}}}});
  }
  CheckAll({
      {"leaky_relu", {{3, 7}}, {{"negative_slope", 0.2}}},
      {"pow", {{3, 7}, {7}}},
      {"pow", {{2, 3, 1}, {1, 3, 5}}},
      {"maximum", {{3, 7}, {3, 7}}},
      {"maximum", {{3, 1}, {2, 1, 7}}},
      {"minimum", {{3, 7}, {1, 7}}},
      {"gt", {{3, 7}, {1, 7}}},
      {"ge", {{3, 7}, {3, 1}}},
      {"eq", {{3, 7}, {3, 7}}},
      {"log_softmax", {{3, 5}}, {{"dim", int64_t{1}}}},
      {"log_softmax", {{2, 3, 4}}, {{"dim", int64_t{-2}}}},
      {"sum", {{2, 3, 4}}, {{"dims", Ints{0, 2}}}},
      {"amax", {{2, 3, 4}}, {{"dims", Ints{1}}, {"keepdim", true}}},
      {"amin", {{2, 3, 4}}, {{"dims", Ints{-1, 0}}}},
  });
}

TEST(KernelTest, ChosenElements) {
  const auto slice = [](int64_t dim, int64_t start, int64_t end, int64_t step) {
    return Attributes{{"dim", dim}, {"start", start}, {"end", end}, {"step", step}};
  };
  const auto pad = [](Ints before, Ints after, const char* mode) {
    return Attributes{
        {"before", before}, {"after", after}, {"mode", std::string(mode)}, {"value", 0.75}};
  };
  CheckAll({
      {"slice", {{3, 7}}, slice(1, 1, 6, 2)},
      {"slice", {{3, 7, 2}}, slice(-2, -3, int64_t{1} << 62, 1)},
      {"slice", {{3, 7}}, slice(1, 5, -8, -2)},
      {"slice", {{3, 7}}, slice(0, 2, 2, 1)},
      {"index_select", {{3, 7}}, {{"dim", int64_t{1}}, {"index", Ints{6, 0, 0, 3}}}},
      {"index_select", {{3, 7, 2}}, {{"dim", int64_t{0}}, {"index", Ints{2}}}},
      {"expand", {{3, 1}}, {{"shape", Ints{2, -1, 4}}}},
      {"expand", {{1}}, {{"shape", Ints{5}}}},
      {"expand", {{}}, {{"shape", Ints{2, 3}}}},
      {"pad", {{3, 4}}, pad({1, 0}, {0, 2}, "constant")},
      {"pad", {{3, 4}}, pad({0, -1}, {1, -1}, "constant")},
      {"pad", {{2, 3, 4}}, pad({0, 2, 3}, {0, 1, 3}, "reflect")},
      {"pad", {{2, 3, 4}}, pad({0, 2, 5}, {1, 1, 3}, "replicate")},
      {"pad", {{2, 3}}, pad({0, 5}, {1, 4}, "circular")},
      {"where", {{3, 7}, {3, 7}, {3, 7}}},
      {"where", {{7}, {2, 3, 1}, {1}}},
      {"where", {{}, {}, {}}},
  });
}

TEST(KernelTest, EmbeddingTakesRowsByIdsAndRefusesOthers) {
  const Attributes attributes = {{"num_embeddings", int64_t{3}}, {"embedding_dim", int64_t{2}}};
  const KernelSpec spec = {.op = ops::kEmbedding,
                           .attributes = &attributes,
                           .srcs = {{{4}, Layout::kPlain, DType::kInt64}},
                           .dst = {{4, 2}},
                           .tensors = {"weight"}};
  auto kernel = ValueOrDie(CreateKernel(spec));
  int64_t ids[] = {2, 0, -1, 2};
  float table[] = {1, 2, 3, 4, 5, 6}, dst[8], diff_table[6];
  const void* srcs[] = {ids};
  void* tensors[] = {table};
  BackwardArgs args;
  args.srcs = srcs;
  args.tensors = tensors;
  args.dst = dst;
  ASSERT_OK(kernel->Forward(args));
  EXPECT_THAT(dst, ::testing::ElementsAre(5, 6, 1, 2, 5, 6, 5, 6));
  const float diff_dst[] = {1, 10, 2, 20, 3, 30, 4, 40};
  void* diff_tensors[] = {diff_table};
  args.diff_dst = diff_dst;
  args.diff_tensors = diff_tensors;
  ASSERT_OK(kernel->Backward(args));
  EXPECT_THAT(diff_table, ::testing::ElementsAre(2, 20, 0, 0, 8, 80));
  ids[1] = 3;
  EXPECT_THAT(kernel->Forward(args),
              StatusIs(absl::StatusCode::kOutOfRange,
                       ::testing::HasSubstr("id 3 at position 1 is none of the table's 3 rows")));
}

TEST(KernelTest, ProductsOfBfloat16) {
  const auto linear = [](int64_t in, int64_t out) {
    return Attributes{{"in_features", in}, {"out_features", out}, {"bias", true}};
  };
  const std::vector<Case> cases = {
      {"linear", {{5, 16}}, linear(16, 5)},
      {"linear", {{0, 3}}, linear(3, 2)},
      {"linear", {{3, 130}}, linear(130, 67)},
      {"matmul", {{2, 1, 3, 4}, {5, 4, 2}}},
      {"bmm", {{2, 3, 4}, {2, 4, 5}}},
      {"conv1d", {{2, 3, 7}}, Conv(3, 5, {3}, {1}, {1}, {1})},
      {"conv2d", {{3, 16, 5, 5}}, Conv(16, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 2)},
      {"conv2d", {{2, 32, 6, 6}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{32, 32, 8, 8}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{3, 32, 2, 2}}, Conv(32, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/true);
  }
}

TEST(KernelTest, ConvolutionsByWinograd) {
  const std::vector<Case> cases = {
      {"conv2d", {{33, 32, 8, 8}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 32, 14, 13}}, Conv(32, 48, {3, 3}, {1, 1}, {1, 0}, {1, 1}, 1, false)},
      {"conv2d", {{65, 64, 4, 7}}, Conv(64, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/false);
  }
}

// So few positions that each result depends on nearly every one.
// Channels in whole and in half blocks, taps of which some are padding for all, rows in several
// chunks, and a last tile of each size.
TEST(KernelTest, ConvolutionsInTiles) {
  const Case cases[] = {
      {"conv2d", {{1, 16, 1, 1}}, Conv(16, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 32, 2, 2}}, Conv(32, 80, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{1, 48, 7, 7}}, Conv(48, 128, {3, 3}, {2, 2}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 16, 11, 13}}, Conv(16, 16, {5, 3}, {1, 1}, {0, 2}, {2, 1})},
      {"conv2d", {{3, 128, 9, 9}}, Conv(128, 144, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 32, 1, 1}}, Conv(32, 32, {1, 1}, {1, 1}, {3, 3}, {1, 1})},
      {"conv1d", {{5, 16, 9}}, Conv(16, 112, {3}, {2}, {1}, {1})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckForward(c);
  }
}

TEST(KernelTest, ConvolutionsOfFewPositions) {
  const std::vector<Case> cases = {
      {"conv2d", {{5, 32, 1, 1}}, Conv(32, 48, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{3, 16, 1, 1}}, Conv(16, 16, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, false)},
      {"conv2d", {{4, 16, 2, 2}}, Conv(16, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{4, 32, 2, 2}}, Conv(32, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{2, 16, 2, 1}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{2, 16, 2, 3}}, Conv(16, 16, {2, 2}, {1, 1}, {0, 0}, {1, 1})},
      {"conv1d", {{3, 16, 3}}, Conv(16, 16, {3}, {1}, {1}, {1})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/false);
  }
}

TEST(KernelTest, DropoutScalesWhatItKeepsAndDependsOnTheSeedAlone) {
  const Problem problem = MakeProblem({"dropout", {{100, 100}}, {{"p", 0.25}}});
  const auto results = Harness<float>(problem, true, Layout::kPlain).Run(problem.inputs[0].values);
  EXPECT_EQ(results.dst, results.diff_srcs[0]);  // The gradient's mask is the forward one.
  int64_t kept = 0;
  for (size_t i = 0; i < results.dst.size(); ++i) {
    if (results.dst[i] == 0) continue;
    ++kept;
    EXPECT_FLOAT_EQ(results.dst[i], static_cast<float>(problem.inputs[0].values[i] / 0.75));
  }
  EXPECT_NEAR(kept, 7500, 200);  // Over four standard deviations.
}

TEST(KernelTest, EveryOpOfTheTableHasAKernelOrNeedsNone) {
  for (const OpSchema* schema : AllOps()) {
    const bool frame = schema->name == ops::kPlaceholder || schema->name == ops::kOutput ||
                       schema->Is(OpTrait::kFromShapes) || schema->Is(OpTrait::kRenames) ||
                       schema->Is(OpTrait::kStored);
    EXPECT_TRUE(frame || HasKernel(schema->name, DType::kFloat32)) << schema->name;
    EXPECT_TRUE(frame || HasKernel(schema->name, DType::kFloat64)) << schema->name;
  }
}

TEST(KernelTest, BatchStatisticsOfOneValueAreRefused) {
  const Problem problem = MakeProblem({"batch_norm1d", {{1, 3}}, {{"num_features", int64_t{3}}}});
  const KernelSpec spec = {.op = problem.op,
                           .attributes = &problem.attributes,
                           .training = true,
                           .srcs = {{problem.inputs[0].shape}},
                           .dst = {problem.dst}};
  EXPECT_THAT(CreateKernel(spec), StatusIs(absl::StatusCode::kInvalidArgument,
                                           ::testing::HasSubstr("more than one row")));
}

}  // namespace
}  // namespace mase
