// Nets that nobody would write, for the conformance kit.
#ifndef MASE_PLUGIN_RANDOM_GRAPH_H_
#define MASE_PLUGIN_RANDOM_GRAPH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "mase/graph/graph.h"

namespace mase {

// A net of 1 to 12 layers in a random order (dense layers, norms, activations, dropout,
// identities), some of whose values are added to earlier ones; for every seed a graph that the
// verifier accepts and the executor runs, on rows of 4 to 16 features. The same for the same seed.
absl::StatusOr<Graph> RandomGraph(uint32_t seed);

}  // namespace mase

#endif  // MASE_PLUGIN_RANDOM_GRAPH_H_
