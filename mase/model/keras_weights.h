// What Keras and QKeras wrote: model.save("NET.keras") of Keras 3, model.save("NET.h5") of both,
// model.save_weights("NET.h5") of Keras 2.
#ifndef MASE_MODEL_KERAS_WEIGHTS_H_
#define MASE_MODEL_KERAS_WEIGHTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/interop/safetensors.h"

namespace mase {

// The weights under names as nn.Sequential gives ("0.weight", "1.running_mean"), by the order of
// the layers that have some, so that they go to a net of the same layers in that order
// (name_mapping.h), and in PyTorch's layout:
//
//   kernel [in, out]                  weight [out, in]
//   kernel [height, width, in, out]   weight [out, in, height, width]; [width, in, out] likewise
//   bias, beta                        bias
//   gamma                             weight
//   moving_mean, moving_variance      running_mean, running_var
//
// A kernel behind a Flatten of images sees their pixels in another order than here (channels last):
// nets of convolutions and dense layers need a pooling to 1 x 1 between, or the net as ONNX.
//
// DataLoss, ResourceExhausted: as ReadHdf5Table of data/hdf5.h. InvalidArgument: an HDF5 file
// without Keras's list of layers (also Keras 3's .weights.h5 alone, which has no order).
// Unimplemented:
// other weights than those above, by name.
absl::StatusOr<SafeTensors> ReadKerasWeights(absl::string_view path);

// A .keras file: the net as JSON (keras_json.h reads nets of dense layers) and its weights, named
// and turned as above. Layers have numbers instead of names in it, so only those are read whose
// order of weights is known: Dense, Conv1D, Conv2D, BatchNormalization, and layers without weights.
struct KerasArchive {
  std::string net;
  SafeTensors weights;
};

// DataLoss, ResourceExhausted: as ZipArchive and ReadHdf5Table. InvalidArgument: a config that is
// no JSON of a list of layers. Unimplemented, naming the layer: another one with weights, also a
// model in the model.
absl::StatusOr<KerasArchive> ReadKerasArchive(absl::string_view path);

}  // namespace mase

#endif  // MASE_MODEL_KERAS_WEIGHTS_H_
