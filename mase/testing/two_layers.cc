#include "mase/testing/two_layers.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "mase/testing/matchers.h"

namespace mase {

Graph TwoLayerNet() {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 2]
first = linear(x, in_features=2, out_features=2, bias=False)
  quantized integer
  data_in = integer { width: 12 frac_width: 8 }
relu = relu(first)
second = linear(relu, in_features=2, out_features=2, bias=False)
  quantized integer
  weight = integer { width: 3 frac_width: 1 }
output = output(second)
)");
  graph.SetTensor("first.weight", Tensor::FromValues<float>({2, 2}, {1, 0.5f, -0.25f, 1}), false);
  graph.SetTensor("second.weight", Tensor::FromValues<float>({2, 2}, {0.3f, 0.8f, 0.4f, 0.6f}),
                  false);
  return graph;
}

TwoLayerHost::TwoLayerHost(bool labelled) {
  std::vector<float> x(400);
  std::vector<int64_t> y(200);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < y.size(); ++i) y[i] = x[2 * i] > x[2 * i + 1] ? 1 : 0;
  samples["x"] = Tensor::FromValues<float>({200, 2}, x);
  if (labelled) labels = Tensor::FromValues<int64_t>({200}, y);
}

}  // namespace mase
