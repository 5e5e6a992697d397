// Weights in a file as the codes of their number format, packed, in place of float32.
//
// A tensor that is an operand of a node whose record gives it a format with codes, and, where
// several nodes share it, of nodes of one op that all give it the same format, may stand in a
// safetensors file as
//
//   NAME.codes    U8 [ceil(elements * code bits / 8)]   Format::Encode's codes in row-major order,
//                 without gaps, the first in the lowest bits of the first byte; unused bits are 0
//   NAME.blocks   a code for each block, where the format has blocks: U8 [blocks], or I32 [blocks]
//                 where one is above 255 (the bits of a float32 scale)
//
// in place of NAME. All else, the format above all, is in the graph of the same file. Reading gives
// NAME back, float32 and exactly the values that the net computes with: what is stored is what
// Format::Quantize makes of the weight, and a zero has no sign. A tensor of which that cannot be
// said stays float32: its format has no codes, or rounds what it rounded to other values, or draws
// at random, or nodes that share it do not round it alike.
#ifndef MASE_MODEL_STORED_CODES_H_
#define MASE_MODEL_STORED_CODES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/graph/graph.h"
#include "mase/interop/safetensors.h"

namespace mase {

// All tensors of a graph as they are to be written.
struct StoredTensors {
  std::vector<NamedTensor> tensors;  // In graph order.
  int coded = 0;                     // Tensors of the graph that are codes here.
  int64_t values = 0;                // Theirs, and the bytes that their codes take.
  int64_t bytes = 0;
  // Tensors with a number format that stay float32, and why.
  std::vector<std::pair<std::string, std::string>> left;
};

// Errors are those of shape inference, and of formats that do not fit their tensors.
absl::StatusOr<StoredTensors> EncodeTensors(const Graph& graph);

// Replaces codes in `contents` by their tensors, given the graph of the same file, whose tensors
// need no elements. Other tensors stay. DataLoss, naming node, tensor and code, for codes that
// EncodeTensors does not write: of the wrong number or type, with unused bits set, of values that
// are not the format's, of a tensor that has no format, or beside the tensor itself.
absl::Status DecodeTensors(const Graph& graph, SafeTensors& contents);

}  // namespace mase

#endif  // MASE_MODEL_STORED_CODES_H_
