// The flags that watch a run's passes: --print_after, --verify_each, --max_passes, --timing.
#ifndef MASE_CLI_INSTRUMENT_FLAGS_H_
#define MASE_CLI_INSTRUMENT_FLAGS_H_

#include "absl/status/statusor.h"
#include "mase/pipeline/pipeline.h"
#include "mase/run/run.h"
#include "proto/config.pb.h"
#include "proto/flags.pb.h"

namespace mase {

// What the flags ask for, and reproducers of passes that fail or crash, in the settings'
// project_dir. They show what they have on the reporter. NotFound for a name in --print_after that
// is not in the pipeline.
absl::StatusOr<Instruments> FlaggedInstruments(const PassFlags& flags, const Pipeline& pipeline,
                                               const RunConfig& config, Reporter& reporter);

}  // namespace mase

#endif  // MASE_CLI_INSTRUMENT_FLAGS_H_
