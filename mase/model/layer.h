// Layers as text: "Linear 32", "Conv 64 3 padding=1", "Dropout 0.2", "BN".
//
//   layer     = NAME VALUE* (KEY=VALUE)*
//   NAME      any module of the op table by class or op name (Linear, ReLU, batch_norm1d), case
//             ignored; BN, Conv, MaxPool, AvgPool and GlobalAvgPool choose 1d or 2d by the input
//   VALUE     for the attributes in the order of PyTorch's constructor, without those that
//             follow from the input (in_features, in_channels, num_features, ...)
//   KEY       any attribute of the op by name
//
// Values are whole numbers, decimals, true or false, windows as 3 or 3x5, and the word `classes`
// for the number of classes of the data set. Activations are in place, as in MASE's nets (it
// changes what they print, not what they compute); pools have stride = kernel_size by default.
#ifndef MASE_MODEL_LAYER_H_
#define MASE_MODEL_LAYER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/op_schema.h"

namespace mase {

struct Layer {
  const OpSchema* schema = nullptr;
  Attributes attributes;  // Complete.
};

// Parses one layer that will read a value of shape `input` (batch first).
// InvalidArgument names the layer and what is wrong; NotFound an unknown name,
// with the nearest one.
absl::StatusOr<Layer> ParseLayer(absl::string_view text, const Shape& input, int64_t classes);

}  // namespace mase

#endif  // MASE_MODEL_LAYER_H_
