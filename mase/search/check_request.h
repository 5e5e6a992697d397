// What a search is asked for and does not do.
#ifndef MASE_SEARCH_CHECK_REQUEST_H_
#define MASE_SEARCH_CHECK_REQUEST_H_

#include "absl/status/status.h"
#include "mase/run/run.h"
#include "mase/search/search_run.h"

namespace mase {

// InvalidArgument or NotFound where it would be another search: flags that contradict each other, a
// pruner of trials that are not trained, inherited weights that others have not got, settings of
// MASE's that are not served. Settings without effect are told in one warning.
absl::Status CheckRequest(const SearchRequest& request, Reporter& reporter);

}  // namespace mase

#endif  // MASE_SEARCH_CHECK_REQUEST_H_
