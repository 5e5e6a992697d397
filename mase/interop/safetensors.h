// Named tensors in one file: the safetensors format, which PyTorch, NumPy and
// many viewers open, and which runs no code when it is loaded.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"__metadata__": {text: text}, NAME: {"dtype", "shape", "data_offsets"}, ...}
//   data      the tensors' elements, row-major, little-endian
//
// Files written here also carry a CRC32C of the whole file in the metadata, so
// that damage is found; a file without metadata named "mase..." needs none.
#ifndef MASE_INTEROP_SAFETENSORS_H_
#define MASE_INTEROP_SAFETENSORS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

struct NamedTensor {
  std::string name;
  Tensor value;
};

struct SafeTensors {
  std::vector<NamedTensor> tensors;  // In file order.
  std::map<std::string, std::string> metadata;

  const Tensor* Find(absl::string_view name) const;  // Null if absent.
};

// Reads and checks a file. The tensors share one buffer.
//
// NotFound: no such file. DataLoss, naming the file and the tensor: not a
// safetensors file, truncated, checksum wrong, offsets outside the data or not
// matching the shape, two tensors of one name. InvalidArgument: an element type
// that this tool has no use for (F16, F8_E4M3, ...). ResourceExhausted: beyond
// the limits of base/limits.h. A pickle (.pt, .ckpt) is refused with the lines of
// Python that convert it.
absl::StatusOr<SafeTensors> ReadSafeTensors(absl::string_view path);

// Writes a file atomically (base/files.h). The same input gives the same bytes.
absl::Status WriteSafeTensors(absl::string_view path, const SafeTensors& contents);

}  // namespace mase

#endif  // MASE_INTEROP_SAFETENSORS_H_
