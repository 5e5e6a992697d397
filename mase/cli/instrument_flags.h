// The process flags that watch a run's passes: --print_after, --verify_each, --max_passes,
// --timing.
#ifndef MASE_CLI_INSTRUMENT_FLAGS_H_
#define MASE_CLI_INSTRUMENT_FLAGS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/pipeline/instrumentation.h"
#include "mase/pipeline/pipeline.h"
#include "proto/config.pb.h"

namespace mase {

// What the flags ask for, and reproducers of passes that fail or crash, in the settings'
// project_dir. Shows on stdout. `plugins` are the paths of those that were given by path. NotFound
// for a name in --print_after that is not in the pipeline.
absl::StatusOr<std::vector<std::unique_ptr<Instrumentation>>> FlaggedInstruments(
    const Pipeline& pipeline, const RunConfig& config, const std::vector<std::string>& plugins);

}  // namespace mase

#endif  // MASE_CLI_INSTRUMENT_FLAGS_H_
