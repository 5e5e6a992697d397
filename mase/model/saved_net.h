// What a file that SaveCheckpoint wrote says of a net: the half of checkpoint.h that programs need
// which read no other files.
#ifndef MASE_MODEL_SAVED_NET_H_
#define MASE_MODEL_SAVED_NET_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/interop/safetensors.h"
#include "mase/model/checkpoint.h"
#include "mase/tensor/tensor.h"

namespace mase {

// The fact that is the graph, as GraphToText.
inline constexpr char kGraphFact[] = "mase.graph";

// Finds graph and recipe in what a file holds. Without the fact there is no graph.
//
// DataLoss naming the file: the recipe is damaged, a quantization record has a format that cannot
// be, or the graph does not fit the tensors, which have its names, or their codes (stored_codes.h).
absl::StatusOr<Checkpoint> ReadSavedNet(absl::string_view path, SafeTensors contents);

// A tensor in the element type of a net.
struct ConvertedTensor {
  Tensor tensor;
  int64_t rounded = 0;  // Numbers that changed.
};

// `found` as `wanted` is: of the same shape and, converted as BindTensors says, element type.
// InvalidArgument, continuing "tensor 'NAME' ", where that cannot be.
absl::StatusOr<ConvertedTensor> ConvertFor(const Tensor& found, const Tensor& wanted);

}  // namespace mase

#endif  // MASE_MODEL_SAVED_NET_H_
