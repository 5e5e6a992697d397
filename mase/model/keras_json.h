// Nets as Keras and QKeras describe them: the JSON of model.to_json(), as hls4ml's examples have.
//
//   {"class_name": "Sequential", "config": {"layers": [
//     {"class_name": "QDense", "config": {"name": "fc1", "units": 64, "kernel_quantizer":
//       {"class_name": "quantized_bits", "config": {"bits": 6, "integer": 0, "alpha": 1}}, ...}},
//     {"class_name": "QActivation", "config": {"activation": "quantized_relu(6)"}}, ...]}}
//
// The net is a chain of dense layers; quantizers become quantization records:
//
//   quantized_bits(bits, integer)   integer, width bits, frac_width bits - integer - 1
//   the same, keep_negative=0       unsigned, frac_width bits - integer
//   quantized_relu(bits, integer)   a relu, and unsigned integers of frac_width bits - integer as
//                                   data_in of the next layer, or data_out of the relu where a
//                                   layer does not follow
#ifndef MASE_MODEL_KERAS_JSON_H_
#define MASE_MODEL_KERAS_JSON_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "proto/metadata.pb.h"

namespace mase {

struct KerasNet {
  std::string layers;           // A layer list, "fc1 = Linear 64 bias=true; relu1 = ReLU".
  std::vector<int64_t> sample;  // Extents of a sample that the file says; empty: it does not.
  struct Record {
    std::string path;  // Of the module.
    Quantization quantization;
  };
  std::vector<Record> records;
};

// Whether a text may be such JSON: it begins with '{'.
bool LooksLikeKerasJson(absl::string_view text);

// InvalidArgument: no JSON, or none of a Keras net. Unimplemented, naming the layer: branches,
// other layers than dense ones, batch norms, dropout, flatten and relu, tanh, sigmoid, softmax;
// quantizers that are no integers of a step that is a power of two (alpha "auto", quantized_po2,
// ternary, symmetric=1, one bit).
absl::StatusOr<KerasNet> ParseKerasNet(absl::string_view json);

// Gives the records to the modules of a graph that was built of `layers`.
absl::Status SetRecords(const KerasNet& net, Graph& graph);

}  // namespace mase

#endif  // MASE_MODEL_KERAS_JSON_H_
