// The net of a run: built, or taken from a checkpoint.
#ifndef MASE_RUN_OPEN_MODEL_H_
#define MASE_RUN_OPEN_MODEL_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "mase/base/random.h"
#include "mase/data/dataset.h"
#include "mase/graph/graph.h"
#include "mase/model/checkpoint.h"
#include "mase/run/reporter.h"
#include "proto/config.pb.h"

namespace mase {

// The file that --load stands for, and what is in it.
struct OpenedCheckpoint {
  std::string path;
  Checkpoint checkpoint;
  std::string net;  // Of a .keras file: its JSON, from which a net may be built.
};

// Reads what --load names, or nothing where it names nothing. A directory stands for the best
// checkpoint of the run in it, and `reporter` is told which that is. A file NAME.onnx is a
// checkpoint of the net that ImportOnnx makes of it. Errors of CheckpointOfRun, LoadCheckpoint and
// ImportOnnx; InvalidArgument: an output is named of a file that is not ONNX.
absl::StatusOr<std::optional<OpenedCheckpoint>> OpenCheckpoint(const ModelConfig& model,
                                                               Reporter& reporter);

// The checkpoint's own graph if it has one and no other model was asked for, else the named model
// (of a .keras file without a name, that of its JSON),
// with the checkpoint's weights if there is a checkpoint. `reporter` is told how names and element
// types went together. `generator` becomes what building the net leaves. InvalidArgument: there is
// neither a name nor a graph; the errors of BuildModel and BindTensors.
absl::StatusOr<Graph> OpenModel(const RunConfig& config, const DatasetInfo& data,
                                const std::optional<OpenedCheckpoint>& opened,
                                TorchGenerator& generator, Reporter& reporter);

}  // namespace mase

#endif  // MASE_RUN_OPEN_MODEL_H_
