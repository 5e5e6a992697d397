// Sums that float32 would round are exact, and rounded once: to the bit what double says.
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "mase/kernel/kernel.h"
#include "mase/kernel/kernel_check.h"
#include "mase/testing/numerics/reference_kernels.h"

namespace mase {
namespace {

// In multiples of `unit`, up to so many of them; all of one sign, so that sums become large.
void MakeWhole(double largest, double unit, Array& array) {
  for (double& value : array.values) {
    value = std::nearbyint(std::abs(value) / 2 * largest) * unit;
  }
}

// The case with products of up to 2^17 units, whose sums have `sum_bits` at most.
void CheckExact(const KernelCase& c, int sum_bits, double bias_unit) {
  SCOPED_TRACE(testing::Message() << c.Name() << ", sums of " << sum_bits << " bits");
  Problem problem = MakeProblem(c);
  for (Array& input : problem.inputs) MakeWhole(512, 1, input);
  for (NamedArray& tensor : problem.tensors) {
    const bool is_bias = tensor.name == "bias";
    MakeWhole(is_bias ? 64 : 256, is_bias ? bias_unit : 1, tensor.array);
  }
  const std::vector<double> exact =
      ReferenceForward(problem.op, problem.attributes, problem.inputs, problem.tensors, problem.dst,
                       /*training=*/false)
          .values;
  const std::vector<float> found =
      Harness<float>(problem, /*training=*/false, Layout::kPlain, /*bfloat16=*/false, sum_bits)
          .Run({})
          .dst;
  ASSERT_EQ(found.size(), exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(found[i]),
              std::bit_cast<uint32_t>(static_cast<float>(exact[i])))
        << "result " << i << ": " << found[i] << ", want " << exact[i];
  }
}

const KernelCase kCases[] = {
    {"linear", {{7, 800}}, {{"in_features", int64_t{800}}, {"out_features", int64_t{19}}}},
    {"matmul", {{3, 5, 700}, {700, 9}}},
    {"bmm", {{2, 4, 600}, {2, 600, 3}}},
    {"conv1d", {{3, 64, 33}}, Conv(64, 10, {9}, {2}, {4}, {1})},
    // Columns of more than one block, which ends within a sample and within a row of it.
    {"conv2d", {{9, 64, 11, 9}}, Conv(64, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
    {"conv2d", {{3, 64, 9, 9}}, Conv(64, 8, {3, 3}, {2, 3}, {0, 2}, {2, 1}, 2, false)},
    {"conv2d", {{70, 128, 1, 1}}, Conv(128, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
    {"conv2d", {{1, 128, 1, 1}}, Conv(128, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
    {"conv2d", {{3, 128, 2, 2}}, Conv(128, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2)},
    {"conv2d", {{5, 640, 2, 2}}, Conv(640, 4, {1, 1}, {1, 1}, {0, 0}, {1, 1})},
    // Windows that are padding alone, and such that begin or end in it by more than a step.
    {"conv2d", {{2, 64, 2, 3}}, Conv(64, 4, {3, 3}, {2, 2}, {4, 5}, {1, 1})},
    {"conv2d", {{2, 64, 3, 4}}, Conv(64, 4, {2, 4}, {1, 3}, {2, 7}, {1, 2})},
    {"conv2d", {{0, 64, 3, 3}}, Conv(64, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
};

TEST(ExactSumsTest, InChunksOfFloats) {
  for (const KernelCase& c : kCases) CheckExact(c, 27, /*bias_unit=*/1);
}

TEST(ExactSumsTest, InDoubleWhereTheBiasIsFine) {
  for (const KernelCase& c : kCases) CheckExact(c, 53, /*bias_unit=*/std::ldexp(1.0, -12));
}

}  // namespace
}  // namespace mase
