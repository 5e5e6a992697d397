// Checkpoints: a model's tensors, its graph and what is known of the run, in one
// safetensors file that other tools open and that runs no code when loaded.
//
// Metadata: "mase.graph" is the graph as text proto (quantisation included, tensors
// without elements); further facts are the caller's ("mase.run", ...).
#ifndef MASE_MODEL_CHECKPOINT_H_
#define MASE_MODEL_CHECKPOINT_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/interop/safetensors.h"

namespace mase {

// Writes the graph, its tensors in graph order, then `extra` tensors (training state; their
// names must not be the graph's), atomically. Keys of `facts` begin with "mase.".
absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const std::vector<NamedTensor>& extra = {});

struct Checkpoint {
  std::optional<Graph> graph;  // With its elements; absent in files of other tools.
  SafeTensors contents;        // Everything in the file.
};

// Reads a checkpoint or any other safetensors file. Errors of ReadSafeTensors;
// DataLoss naming file and tensor if the graph inside does not fit its tensors.
absl::StatusOr<Checkpoint> LoadCheckpoint(absl::string_view path);

// How the names of a file and of a model went together.
struct BindReport {
  std::vector<std::string> matched;
  std::vector<std::string> optional_missing;  // num_batches_tracked: counters may be absent.
  std::vector<std::string> extra;             // In the file, not in the model.
};

// Copies a file's tensors into the graph by name (a leading "model." of Lightning's is
// dropped). InvalidArgument names every missing tensor, or the first one of a wrong
// shape or type; the graph is then unchanged.
absl::StatusOr<BindReport> BindTensors(const SafeTensors& file, Graph& graph);

}  // namespace mase

#endif  // MASE_MODEL_CHECKPOINT_H_
