// A net without a run: for those that look at it, write it in another form or hand it to a program.
#ifndef MASE_RUN_LONE_NET_H_
#define MASE_RUN_LONE_NET_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "mase/graph/graph.h"
#include "mase/run/reporter.h"
#include "mase/tensor/shape.h"
#include "proto/config.pb.h"

namespace mase {

// What a net is built for, where neither a file nor a data set says.
struct NetFrame {
  Shape sample;         // The shape of one sample; rank 0: what nets of that name are made for.
  int64_t classes = 0;  // 0: the same.
};

// The net of the settings: built by name, loaded, or both. The data set of the settings says what
// it is built for, if they have one; `frame` has the last word. The errors of OpenCheckpoint,
// OpenDataset and OpenModel.
absl::StatusOr<Graph> OpenLoneNet(const RunConfig& config, const NetFrame& frame,
                                  Reporter& reporter);

}  // namespace mase

#endif  // MASE_RUN_LONE_NET_H_
