// What is done with the winner of a search.
#ifndef MASE_SEARCH_CONCLUSION_H_
#define MASE_SEARCH_CONCLUSION_H_

#include "absl/status/status.h"
#include "mase/graph/graph.h"
#include "mase/run/run_directory.h"
#include "mase/run/session.h"
#include "mase/sampler/trial.h"
#include "mase/search/trial_runner.h"
#include "proto/config.pb.h"

namespace mase {

// Internal, if an ordinary run of the trial's settings, which made `net`, has other figures on the
// sample than the trial was found with.
absl::Status CheckWinner(const SearchContext& context, const Trial& winner, const Graph& net);

// Measures the net as it came (unless its weights are initial ones) and the winner's on the whole
// test split, if there is one; tells both and puts them into the session's report as the stages
// "original" and "transformed". OutOfRange: a loss that is no finite number.
absl::Status MeasureWinner(const Graph& net, const RunConfig& config, Session& session);

// An ordinary run of the trial's settings in the folder trial-N of the directory: a training where
// trials train, else a transform. Its errors.
absl::Status ApplyTrial(const SearchContext& context, const Trial& trial, Session& session,
                        RunDirectory& directory);

}  // namespace mase

#endif  // MASE_SEARCH_CONCLUSION_H_
