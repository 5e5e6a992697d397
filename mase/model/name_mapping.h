// How the tensor names of a file become those of a net.
//
// Files of other tools hold the same net under other names: wrapped by Lightning ("model.") or by
// torch.compile ("_orig_mod."), or numbered by nn.Sequential ("0.weight"). A mapping is taken only
// where it gives every tensor that the net needs, and says by which rule it went.
#ifndef MASE_MODEL_NAME_MAPPING_H_
#define MASE_MODEL_NAME_MAPPING_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"

namespace mase {

// A tensor of a file.
struct FoundTensor {
  std::string name;
  Shape shape;
};

struct NameMapping {
  // The net's name of a tensor -> the file's. Counters that the file lacks have no entry.
  absl::flat_hash_map<std::string, std::string> found;
  // Why names that differ are the same, as a clause: "names in the file begin with
  // 'model._orig_mod.'". Empty where the names are equal.
  std::string reason;
};

// Whether a file may lack this tensor of a net: counters of batches (num_batches_tracked), which
// nothing is computed from.
bool MayBeMissing(absl::string_view name);

// The mapping by the first of these rules that gives every tensor of `graph` which may not be
// missing:
//
//   1. The names are equal.
//   2. One prefix stands before all of them in the file. Where several do, the one made of
//   wrappers'
//      names alone (module., _orig_mod., model.) is taken.
//   3. The file's modules are plain numbers, as nn.Sequential gives ("0.weight", "net.2.bias").
//   They
//      are the net's modules in order, if they are as many and tensors and shapes are the same one
//      by one.
//
// InvalidArgument: no rule does, with a table of what was wanted and what the file has besides; or
// more than one prefix or order is possible, which the message names.
absl::StatusOr<NameMapping> MapNames(absl::Span<const FoundTensor> file, const Graph& graph);

}  // namespace mase

#endif  // MASE_MODEL_NAME_MAPPING_H_
