// TestNet: small graphs for tests of execution, with random tensors.
//
//   TestNet net({4, 3});
//   Value* x = net.Module("linear", {net.input()}, {{"in_features", int64_t{3}}, ...});
//   Graph graph = net.Finish(x);
#ifndef MASE_TESTING_NUMERICS_TEST_NET_H_
#define MASE_TESTING_NUMERICS_TEST_NET_H_

#include <string>
#include <vector>

#include "mase/base/random.h"
#include "mase/graph/graph.h"

namespace mase {

class TestNet {
 public:
  explicit TestNet(const Shape& input, uint64_t seed = 1);

  Value* input() const { return input_; }
  // Nodes are named after their op: linear, linear_1, ...
  Value* Module(absl::string_view op, std::vector<Value*> inputs, Attributes attributes = {});
  Value* Function(absl::string_view op, std::vector<Value*> inputs, Attributes attributes = {});
  // A further graph input.
  Value* Input(const Shape& shape);
  Graph& graph() { return graph_; }
  Graph Finish(std::vector<Value*> results);

 private:
  Value* Add(NodeSpec spec);
  Tensor Draw(const ParameterSpec& spec);

  Graph graph_;
  TorchGenerator random_;
  Value* input_;
};

// Uniform values over [-1, 1).
std::vector<float> RandomValues(int64_t count, uint64_t seed);

}  // namespace mase

#endif  // MASE_TESTING_NUMERICS_TEST_NET_H_
