// Nets as PyTorch writes and prints them, as layer lists (zoo.h).
//
//   nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5))    # and comments
//
//   Sequential(
//     (0): BatchNorm1d(16, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
//     (1): ReLU()
//     (2): Linear(in_features=16, out_features=5, bias=True)
//   )
//
// also "self.seq_blocks = nn.Sequential(...)", which names the modules, sequences in sequences, and
// a printed module of one's own, whose modules are then called in the order in which they stand.
// Arguments are those of PyTorch's constructors, by place or name. Nothing is run: what else Python
// may hold (variables, calls, operators) is an error.
#ifndef MASE_MODEL_TORCH_TEXT_H_
#define MASE_MODEL_TORCH_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// Whether a text is meant to be such a net and no layer list.
bool LooksLikeTorchText(absl::string_view text);

// The layer list: "seq_blocks: BatchNorm1d num_features=16, ReLU inplace=false, Linear
// in_features=16 out_features=5". InvalidArgument, with line and column: what cannot be read, a
// module that the op table lacks, an argument that it has not.
absl::StatusOr<std::string> LayersOfTorchText(absl::string_view text);

}  // namespace mase

#endif  // MASE_MODEL_TORCH_TEXT_H_
