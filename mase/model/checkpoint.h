// Checkpoints: a model's tensors, its graph and what is known of the run, in one
// safetensors file that other tools open and that runs no code when loaded.
//
// Metadata: "mase.graph" is the graph as text proto (quantization included, tensors
// without elements), "mase.recipe" how data become what the net reads and which rows it
// was trained on (data/recipe.h); further facts are the caller's ("mase.run", ...).
#ifndef MASE_MODEL_CHECKPOINT_H_
#define MASE_MODEL_CHECKPOINT_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/recipe.h"
#include "mase/graph/graph.h"
#include "mase/interop/safetensors.h"
#include "mase/model/stored_codes.h"

namespace mase {

// Writes the graph, its tensors in graph order, then `extra` tensors (training state; their
// names must not be the graph's), atomically. Keys of `facts` begin with "mase.".
absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const std::vector<NamedTensor>& extra = {});

// The same with the graph's tensors as EncodeTensors(graph) made them; LoadCheckpoint decodes them.
absl::Status SaveCheckpoint(absl::string_view path, const Graph& graph,
                            const std::map<std::string, std::string>& facts,
                            const StoredTensors& stored);

// The fact that is the data recipe, as RecipeText.
inline constexpr char kRecipeFact[] = "mase.recipe";

struct Checkpoint {
  std::optional<Graph> graph;        // With its elements; absent in files of other tools.
  std::optional<DataRecipe> recipe;  // Absent there, and in files from before there were any.
  SafeTensors contents;              // Everything in the file, codes decoded.
};

// Reads a checkpoint or any other file of tensors: safetensors, PyTorch's, .npz. Errors of
// ReadTensorFile (interop/tensor_file.h);
// DataLoss naming the file if the recipe is damaged, or, with the tensor, if the graph
// inside does not fit its tensors or their codes (stored_codes.h).
absl::StatusOr<Checkpoint> LoadCheckpoint(absl::string_view path);

// How a file and a model went together.
struct BindReport {
  std::vector<std::string> matched;  // Names of the model.
  // Of those, the ones that the file calls otherwise: its name and the model's.
  std::vector<std::pair<std::string, std::string>> renamed;
  std::vector<std::string> optional_missing;  // num_batches_tracked: counters may be absent.
  std::vector<std::string> extra;             // In the file, of no use to the model.
  // What the user should know besides: by which rule the names matched if they were not equal,
  // which element types were converted and how many numbers that rounded.
  std::vector<std::string> notes;
};

// Copies a file's tensors into the graph. Names go together by the rules of name_mapping.h. BF16
// (and F16, which reading widened) becomes float32 exactly, F64 by rounding to nearest, ties to
// even; integers and whole floats become int64 where the model has counters. Tensors that the model
// has no use for may be of any type.
//
// InvalidArgument, and the graph is unchanged: the errors of MapNames; tensors of another shape or
// of a type that does not become the model's (all are named); an F64 number beyond float32.
absl::StatusOr<BindReport> BindTensors(const SafeTensors& file, Graph& graph);

// Names of the checkpoints in a run's directory.
inline constexpr char kBestCheckpoint[] = "best.safetensors";  // Lowest validation loss.
inline constexpr char kLastCheckpoint[] = "last.safetensors";  // What training goes on from.
inline constexpr char kTransformedCheckpoint[] = "transformed.safetensors";  // What passes made.

}  // namespace mase

#endif  // MASE_MODEL_CHECKPOINT_H_
