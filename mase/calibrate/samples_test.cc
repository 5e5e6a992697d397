#include "mase/calibrate/samples.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

// 600 rows of two numbers.
std::map<std::string, Tensor> Rows() {
  std::vector<float> x(1200);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.3f * static_cast<float>(i));
  return {{"x", Tensor::FromValues<float>({600, 2}, x)}};
}

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 2]
first = relu(x)
fc = linear(first, in_features=2, out_features=1, bias=False)
  quantized integer
  data_in = integer { width: 3 frac_width: 2 }
last = relu(fc)
output = output(last)
)";

Graph Net() {
  Graph graph = ParseGraph(kNet);
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({1, 2}, {1, -0.5f}), false);
  return graph;
}

TEST(SamplesTest, EveryBatchIsSeenOnce) {
  const Graph graph = Net();
  const SampleBatches samples = SampleBatches::Of(Rows());
  EXPECT_EQ(samples.batches, 3);
  int64_t rows = 0;
  EXPECT_OK(RunSamples(graph, samples, {.taps = {"first"}},
                       [&](const Executor& executor, int64_t batch) -> absl::Status {
                         EXPECT_EQ(executor.NodeValue("first")->size(), 2 * batch);
                         rows += batch;
                         return absl::OkStatus();
                       }));
  EXPECT_EQ(rows, 600);
}

TEST(SamplesTest, TheWatchIsAskedAfterEachBatchAndEndsTheRun) {
  SampleBatches samples = SampleBatches::Of(Rows());
  std::vector<int64_t> asked;
  samples.watch = [&](int64_t done, int64_t rows) {
    EXPECT_EQ(rows, 600);
    asked.push_back(done);
    return done < 400 ? absl::OkStatus() : absl::CancelledError("interrupted");
  };
  const auto see = [](const Executor&, int64_t) { return absl::OkStatus(); };
  EXPECT_THAT(RunSamples(Net(), samples, {}, see), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(asked, ElementsAre(200, 400));
  asked.clear();
  EXPECT_THAT(CompareWithFloat(Net(), samples), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(asked, ElementsAre(200, 400));
}

TEST(SamplesTest, TheFirstNodeThatRoundsIsTheFirstThatDiffers) {
  const std::vector<NodeError> nodes =
      ValueOrDie(CompareWithFloat(Net(), SampleBatches::Of(Rows())));
  ASSERT_EQ(nodes.size(), 4);
  EXPECT_EQ(nodes[0].node, "first");
  EXPECT_TRUE(std::isinf(nodes[0].error.sqnr_db));
  EXPECT_EQ(nodes[1].node, "fc");
  EXPECT_GT(nodes[1].error.sqnr_db, 10);
  EXPECT_LT(nodes[1].error.sqnr_db, 30);
  EXPECT_EQ(nodes[3].node, "output");
  EXPECT_EQ(nodes[3].error.sqnr_db, nodes[2].error.sqnr_db);
  // 1 becomes 0.75 at most.
  EXPECT_NEAR(nodes[1].error.max, 0.25, 0.14);
}

TEST(SamplesTest, BatchesDoNotMatter) {
  SampleBatches one = SampleBatches::Of(Rows()), many = one;
  one.batches = 1;
  many.batches = 7;
  const std::vector<NodeError> a = ValueOrDie(CompareWithFloat(Net(), one));
  const std::vector<NodeError> b = ValueOrDie(CompareWithFloat(Net(), many));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].error.sqnr_db, b[i].error.sqnr_db);
}

}  // namespace
}  // namespace mase
