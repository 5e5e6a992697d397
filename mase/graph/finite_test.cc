#include "mase/graph/finite.h"

#include <cmath>

#include "mase/testing/matchers.h"

namespace mase {
namespace {

TEST(FiniteTest, NamesTheFirstTensorThatHoldsNoNumbers) {
  Graph graph("net");
  graph.SetTensor("a", Tensor::FromValues<float>({2}, {1, -2}), /*buffer=*/false);
  graph.SetTensor("b", Tensor::FromValues<float>({3}, {1, 2, 3}), /*buffer=*/true);
  graph.SetTensor("n", Tensor::FromValues<int64_t>({1}, {7}), /*buffer=*/true);
  EXPECT_EQ(FindNonFinite(graph), "");

  graph.MutableTensor("b")->mutable_data<float>()[1] = -INFINITY;
  graph.MutableTensor("b")->mutable_data<float>()[2] = NAN;
  EXPECT_EQ(FindNonFinite(graph), "tensor 'b' holds -inf in 2 of its 3 elements");

  graph.MutableTensor("a")->mutable_data<float>()[0] = NAN;
  EXPECT_EQ(FindNonFinite(graph),
            "tensor 'a' holds nan in 1 of its 2 elements and is not the only one");
}

}  // namespace
}  // namespace mase
