// ModelBuilder: a graph built layer by layer, with PyTorch's initial weights.
//
//   ModelBuilder net("jsc-tiny", {1, 16}, 5, /*seed=*/0);
//   Value* x = net.Sequence(net.input(), "seq_blocks", "BN, ReLU, Linear classes, ReLU");
//   absl::StatusOr<Graph> graph = net.Finish(x);
//
// Tensors are drawn in the order of the calls, which is the order in which the
// PyTorch model constructs its modules, so the seed's weights are PyTorch's bit
// for bit. The first error sticks: later calls do nothing and Finish returns it.
#ifndef MASE_MODEL_BUILDER_H_
#define MASE_MODEL_BUILDER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/random.h"
#include "mase/graph/graph.h"
#include "mase/model/layer.h"

namespace mase {

class ModelBuilder {
 public:
  // `input` has the batch first. `classes` is what the word `classes` in layers means. A net of
  // more than `max_elements` numbers in its tensors, or one that memory has no room for, is
  // ResourceExhausted.
  ModelBuilder(std::string name, const Shape& input, int64_t classes, uint64_t seed,
               int64_t max_elements = std::numeric_limits<int64_t>::max());

  Value* input() const { return input_; }
  const Shape& shape(const Value* value) const { return value->shape(); }

  // Makes the module `path` ("seq_blocks.2") and draws its tensors, without calling it.
  // `input` is the shape that it will read.
  void Declare(absl::string_view path, absl::string_view layer, const Shape& input);
  // Calls a declared module; the node's name is the path with "_" for ".".
  Value* Call(Value* x, absl::string_view path);
  // Declare and Call in one.
  Value* Module(Value* x, absl::string_view path, absl::string_view layer);
  // Modules PATH.0, PATH.1, ... one after another, from a comma-separated list.
  Value* Sequence(Value* x, absl::string_view path, absl::string_view layers);
  // A function or method call.
  Value* Function(absl::string_view op, std::vector<Value*> inputs, Attributes attributes = {});
  Value* Method(absl::string_view op, std::vector<Value*> inputs, Attributes attributes = {});
  // x.view(x.size(0), extents...), as MASE's nets flatten. One extent may be -1.
  Value* ViewWithSize(Value* x, absl::string_view method, std::vector<int64_t> extents);

  // Draws a tensor anew from N(0, std); sets it to a constant.
  void DrawNormal(absl::string_view tensor, double std);
  void Fill(absl::string_view tensor, float value);

  // What the draws so far have left.
  const TorchGenerator& generator() const { return generator_; }

  // Adds the output and verifies the graph.
  absl::StatusOr<Graph> Finish(Value* result);

 private:
  void Fail(const absl::Status& status);
  Value* Add(NodeSpec spec);

  Graph graph_;
  TorchGenerator generator_;
  const int64_t classes_;
  const int64_t max_elements_;
  int64_t elements_ = 0;
  Value* input_ = nullptr;
  absl::flat_hash_map<std::string, Layer> declared_;  // By path.
  absl::Status status_;
};

}  // namespace mase

#endif  // MASE_MODEL_BUILDER_H_
