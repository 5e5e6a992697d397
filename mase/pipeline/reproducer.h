// One file that runs one pass again on the graph that it failed on.
//
//   ERROR    quantize: ...; mase_output/reproducers/quantize-4711.pb runs this pass again:
//            transform --reproduce=mase_output/reproducers/quantize-4711.pb
//
// The file (proto/reproducer.proto) is made ready in memory in front of every pass, so that it can
// be written also while the program dies of a signal.
#ifndef MASE_PIPELINE_REPRODUCER_H_
#define MASE_PIPELINE_REPRODUCER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/pipeline/instrumentation.h"
#include "proto/config.pb.h"

namespace mase {

// Writes FOLDER/PASS-PID.pb, and makes the folder, when a pass
//
//   fails     by what is no mistake in settings or files (an exit code of 1, base/status.h); the
//             error then names the file
//   ends the program   (mase/base/last_words.h); stderr names the file
//
// `settings` are those of the run, with its plugins. Costs a copy of the graph with its tensors for
// every pass.
std::unique_ptr<Instrumentation> WriteReproducers(const RunConfig& settings, std::string folder);

// What a reproducer holds. One pass is left in the settings.
struct Reproduction {
  RunConfig settings;
  Graph graph;
  Graph original;
};

// Errors of ReadFile; DataLoss, naming the file, if it is no reproducer.
absl::StatusOr<Reproduction> ReadReproducer(absl::string_view path);

}  // namespace mase

#endif  // MASE_PIPELINE_REPRODUCER_H_
