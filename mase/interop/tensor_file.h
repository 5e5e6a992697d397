// Files of named tensors, whoever wrote them.
#ifndef MASE_INTEROP_TENSOR_FILE_H_
#define MASE_INTEROP_TENSOR_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/interop/safetensors.h"

namespace mase {

// What a file holds, by its content: safetensors (safetensors.h), PyTorch (torch_file.h) or NumPy's
// .npz, whose arrays are the tensors; or the index of safetensors in parts, which lie beside it
// ("model.safetensors.index.json"). InvalidArgument: an index that is none, that names a file
// elsewhere, or a tensor that its file has not. Other errors are those of the readers and of
// ReadFile, and begin with the path.
absl::StatusOr<SafeTensors> ReadTensorFile(absl::string_view path);

}  // namespace mase

#endif  // MASE_INTEROP_TENSOR_FILE_H_
