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

// A tensor of a file whose element type no DType holds: F8_E4M3, F4, C64, ...
struct UnreadTensor {
  std::string name;
  std::string type;  // As the file writes it.
  Shape shape;
};

struct SafeTensors {
  std::vector<NamedTensor> tensors;  // In file order.
  std::map<std::string, std::string> metadata;

  // What reading found besides; not written.
  //
  // Element types that no DType is, but whose every number one holds, are widened: F16 to float32,
  // I16 and U16 to int32, U32 to int64. Here stands the file's type of those tensors, by name.
  std::map<std::string, std::string> widened;
  // In file order. Their numbers are not read, and it is for the user of the file to say whether
  // that matters.
  std::vector<UnreadTensor> unread;
  // What of the file is not in the tensors and the user should know: number formats of layers.
  std::vector<std::string> notes;

  const Tensor* Find(absl::string_view name) const;  // Null if absent.
  // The type of a tensor in the file, as the format writes it: "F16".
  std::string TypeOf(const std::string& name, const Tensor& tensor) const;
};

// Reads and checks a file. The tensors share one buffer, except for widened and unaligned ones.
//
// The rules are the format's: the header begins with '{', names and keys stand in it once, metadata
// is text; the tensors' data begin at offset 0, follow each other without overlaps or holes and end
// where the file ends; tensors of no dimension have one element, those with an extent of 0 none.
// Alignment is not asked for.
//
// NotFound: no such file. InvalidArgument: not a regular file; a file of another kind (PyTorch,
// ONNX, HDF5, ...), which is called by its name, with what converts it. DataLoss, naming the file,
// the tensors and their offsets: truncated, checksum wrong, a rule broken. ResourceExhausted:
// beyond the limits of base/limits.h.
absl::StatusOr<SafeTensors> ReadSafeTensors(absl::string_view path);

// Writes a file atomically (base/files.h). The same input gives the same bytes. InvalidArgument:
// two tensors of one name.
absl::Status WriteSafeTensors(absl::string_view path, const SafeTensors& contents);

}  // namespace mase

#endif  // MASE_INTEROP_SAFETENSORS_H_
