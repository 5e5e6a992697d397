// Every net of the zoo runs: forward in inference and, with a gradient, in training.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

Shape InputOf(absl::string_view family, absl::string_view model) {
  if (family == "jet substructure") return {16};
  if (model == "lfc") return {1, 28, 28};
  return {3, 32, 32};
}

TEST(ZooRunTest, EveryNetRunsForwardAndBackward) {
  constexpr int64_t kRows = 2;
  for (const ZooEntry& entry : ZooModels()) {
    SCOPED_TRACE(std::string(entry.name));
    const Shape input = InputOf(entry.family, entry.name);
    const Graph graph =
        ValueOrDie(BuildModel({std::string(entry.name), input, 5, kRows, /*seed=*/0}));
    const std::unique_ptr<Executor> executor = ValueOrDie(Executor::Create(graph));
    std::vector<float> x(kRows * input.elements());
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));

    ASSERT_OK(executor->Forward(ExecutionMode::kInference, kRows, {x.data()}));
    EXPECT_EQ(executor->output_shape()[0], kRows);
    for (float y : executor->output()) EXPECT_TRUE(std::isfinite(y));

    ASSERT_OK(executor->Forward(ExecutionMode::kTraining, kRows, {x.data()}));
    const std::vector<float> ones(executor->output().size(), 1.0f);
    ASSERT_OK(executor->Backward({ones.data()}));
    for (float gradient : executor->gradients()) EXPECT_TRUE(std::isfinite(gradient));
  }
}

}  // namespace
}  // namespace mase
