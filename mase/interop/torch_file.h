// PyTorch's files (torch.save: .pt, .pth; Lightning's .ckpt) without Python, and without running
// what they say: see pickle.h for what of a pickle is read.
#ifndef MASE_INTEROP_TORCH_FILE_H_
#define MASE_INTEROP_TORCH_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/interop/safetensors.h"

namespace mase {

// Whether bytes (the first 16 do) begin as torch.save of 1.5 or older writes: a pickle of a number
// that stands for it. Files of today are zip archives with a member data.pkl.
bool IsOldTorchFile(absl::string_view bytes);

// The tensors of a state dict: of the file's own dict, or of the one under "state_dict"
// (Lightning), "model_state_dict" or "model" in it. Values beside them (epoch, optimizer,
// hyperparameters) are read over. Names are as in the file; types as ReadSafeTensors has them,
// float16 widened to float32. Each tensor has its own memory, in row-major order whatever its
// strides.
//
// DataLoss: damaged, truncated, a tensor that is outside of its storage. InvalidArgument: the file
// holds classes, code or other than a dict of tensors; the class is named. ResourceExhausted:
// limits, memory. Unimplemented: written on a big-endian machine.
absl::StatusOr<SafeTensors> ParseTorchFile(absl::string_view bytes);

}  // namespace mase

#endif  // MASE_INTEROP_TORCH_FILE_H_
