#include "mase/kernel/kernel_check.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "absl/strings/match.h"
#include "mase/graph/op_schema.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

Array RandomArray(const Shape& shape, uint64_t seed, double low = -2, double high = 2) {
  const std::vector<float> unit = RandomValues(shape.elements(), seed);
  Array array = {shape, {}};
  for (const float u : unit) {
    array.values.push_back(static_cast<float>(low + (high - low) * (u + 1) / 2));
  }
  return array;
}

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

// S of the header, for every result.
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

// The nearest bfloat16 by another way than the kernels': eight digits, ties to even.
double Bfloat16(double value) {
  int exponent;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(fraction * 256) / 256, exponent);
}

}  // namespace

std::string KernelCase::Name() const {
  std::string name = op;
  for (const Shape& shape : inputs) name += " " + shape.ToString();
  for (const auto& [key, value] : attributes) name += " " + key + "=" + AttributeToPython(value);
  return name;
}

Problem MakeProblem(const KernelCase& c) {
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
void CheckForward(const KernelCase& c) {
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

void CheckBackward(const KernelCase& c) {
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

void CheckAll(const std::vector<KernelCase>& cases) {
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckForward(c);
    CheckBackward(c);
    if (::testing::Test::HasFailure()) return;
  }
}

void CheckProduct(const KernelCase& c, bool bfloat16) {
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

}  // namespace mase
