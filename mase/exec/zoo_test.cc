// Every net of the zoo runs, forward and backward, and in float as in double.
#include "mase/model/zoo.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

// Nets that plain loops in double run in less than a second.
constexpr int64_t kMaxCheckedParameters = 2'000'000;

ModelRequest RequestFor(const ZooEntry& entry) {
  if (entry.family == "jet substructure") {
    return {.model = std::string(entry.name), .input = {16}, .classes = 5};
  }
  return {.model = std::string(entry.name), .input = {3, 32, 32}, .classes = 10};
}

// One part in `tolerance` of the largest output; training mode divides by the deviations of a few
// values, which magnifies rounding.
void CompareWithDouble(const Graph& graph, Executor& executor, ExecutionMode mode, int64_t rows,
                       const std::vector<float>& x, double tolerance) {
  auto checking = ValueOrDie(Executor64::Create(graph));
  const std::vector<double> input(x.begin(), x.end());
  ASSERT_OK(checking->Forward(mode, rows, {input.data()}));
  double largest = 0;
  for (const double y : checking->output()) largest = std::max(largest, std::abs(y));
  for (size_t i = 0; i < executor.output().size(); ++i) {
    ASSERT_NEAR(executor.output()[i], checking->output()[i], largest * tolerance) << i;
  }
}

TEST(ZooTest, EveryNetRunsForwardAndBackward) {
  for (const ZooEntry& entry : ZooModels()) {
    SCOPED_TRACE(entry.name);
    const ModelRequest request = RequestFor(entry);
    const Graph graph = ValueOrDie(BuildModel(request));
    // Dropout draws the same in both, as seed and step are.
    const bool check = graph.parameter_count() < kMaxCheckedParameters;
    auto executor = ValueOrDie(Executor::Create(graph));
    constexpr int64_t kRows = 4;
    const std::vector<float> x = RandomValues(kRows * request.input.elements(), 1);
    ASSERT_OK(executor->Forward(ExecutionMode::kTraining, kRows, {x.data()}));
    if (check) CompareWithDouble(graph, *executor, ExecutionMode::kTraining, kRows, x, 1e-2);
    const std::vector<float> diff = RandomValues(executor->output_shape().elements(), 2);
    ASSERT_OK(executor->Backward({diff.data()}));
    double sum = 0;
    for (const float gradient : executor->gradients()) sum += std::abs(gradient);
    EXPECT_TRUE(std::isfinite(sum) && sum > 0) << sum;
    ASSERT_OK(executor->LoadFrom(graph));
    for (const int64_t rows : {kRows, int64_t{1}}) {
      ASSERT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
      EXPECT_EQ(executor->output_shape()[0], rows);
      if (check) CompareWithDouble(graph, *executor, ExecutionMode::kInference, rows, x, 1e-5);
    }
  }
}

}  // namespace
}  // namespace mase
