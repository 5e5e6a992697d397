#include "mase/search/slice_weights.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

Graph Build(const std::string& model, uint64_t seed) {
  TorchGenerator generator(seed);
  return ValueOrDie(BuildModel({.model = model, .input = {16}, .classes = 5}, &generator));
}

float At(const Graph& graph, const std::string& name, int64_t row, int64_t column) {
  const Tensor& tensor = graph.FindTensor(name)->value;
  return tensor.data<float>()[static_cast<size_t>(row * tensor.shape()[1] + column)];
}

TEST(SliceWeightsTest, TakeTheFirstChannelsAndLeaveTheRest) {
  const Graph from = Build("BN, ReLU, Linear 8, ReLU, Linear classes", 1);
  Graph wider = Build("BN, ReLU, Linear 12, ReLU, Linear classes", 2);
  const Graph before = wider.Clone();
  ASSERT_OK(SliceWeights(from, wider));
  for (int64_t row = 0; row < 12; ++row) {
    for (int64_t column = 0; column < 16; ++column) {
      EXPECT_EQ(At(wider, "seq_blocks.2.weight", row, column),
                At(row < 8 ? from : before, "seq_blocks.2.weight", row, column));
    }
  }
  for (int64_t row = 0; row < 5; ++row) {
    for (int64_t column = 0; column < 12; ++column) {
      EXPECT_EQ(At(wider, "seq_blocks.4.weight", row, column),
                At(column < 8 ? from : before, "seq_blocks.4.weight", row, column));
    }
  }
  Graph narrower = Build("BN, ReLU, Linear 3, ReLU, Linear classes", 3);
  ASSERT_OK(SliceWeights(from, narrower));
  EXPECT_EQ(At(narrower, "seq_blocks.2.weight", 2, 15), At(from, "seq_blocks.2.weight", 2, 15));
  EXPECT_EQ(At(narrower, "seq_blocks.4.weight", 4, 2), At(from, "seq_blocks.4.weight", 4, 2));
}

TEST(SliceWeightsTest, NothingInCommonIsSaid) {
  Graph other = Build("ReLU, Linear classes", 1);
  EXPECT_THAT(SliceWeights(Build("Linear classes", 1), other),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has no tensor of")));
}

}  // namespace
}  // namespace mase
