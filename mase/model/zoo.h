// The models that a name stands for, and layer lists in place of a name.
//
//   model    = segment (";" segment)*
//   segment  = PATH ":" layer ("," layer)*     modules PATH.0, PATH.1, ...
//            | PATH "=" layer                  the one module PATH
//            | layer ("," layer)*              the first segment: PATH is seq_blocks
//            | "flatten()"                     torch.flatten(x, 1)
//            | "view(size, N, ...)"            x.view(x.size(0), N, ...); also reshape
//            | "view(N, ...)"                  x.view(N, ...)
//
// or such a net as PyTorch writes or prints it (torch_text.h). Layers are those of layer.h.
// Example:
//   "BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 5, BN, ReLU"
#ifndef MASE_MODEL_ZOO_H_
#define MASE_MODEL_ZOO_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/random.h"
#include "mase/graph/graph.h"

namespace mase {

struct ModelRequest {
  std::string model;  // A name of the zoo, a layer list, PyTorch's text or Keras's JSON.
  Shape input;        // Of one sample, without the batch: [16], [3, 32, 32].
  int64_t classes = 0;
  int64_t batch = 1;  // The placeholder's batch.
  uint64_t seed = 0;  // Of the initial weights.
  // The most numbers that its tensors may have; more are ResourceExhausted.
  int64_t max_elements = std::numeric_limits<int64_t>::max();
};

// Builds the model with PyTorch's initial weights for the seed; every value has
// its shape. `generator`, if not null, becomes what drawing them left, from which
// PyTorch's loaders would draw next. NotFound: neither a name (the nearest is
// offered) nor a layer list. InvalidArgument: a layer list with an error, or a
// model that does not fit the input, naming the layer.
absl::StatusOr<Graph> BuildModel(const ModelRequest& request, TorchGenerator* generator = nullptr);

// One entry of the zoo, for listings.
struct ZooEntry {
  absl::string_view name;
  absl::string_view family;  // "jet substructure", "toy", "vision"
  absl::string_view layers;  // The text form; empty for models with branches.
};
std::vector<ZooEntry> ZooModels();

}  // namespace mase

#endif  // MASE_MODEL_ZOO_H_
