// What a search is asked for and does not do.
#ifndef MASE_SEARCH_CHECK_REQUEST_H_
#define MASE_SEARCH_CHECK_REQUEST_H_

#include "absl/status/status.h"
#include "mase/run/run.h"
#include "mase/search/search_run.h"
#include "mase/search/search_space.h"

namespace mase {

// InvalidArgument or NotFound where it would be another search: flags that contradict each other, a
// pruner of trials that are not trained, inherited weights that others have not got, settings of
// MASE's that are not served. Settings without effect are told in one warning.
absl::Status CheckRequest(const SearchRequest& request, Reporter& reporter);

// InvalidArgument, with the place, for a value of the space that its setting cannot have at all, as
// a text for a number or what is out of range. Values that only some points cannot have are those
// points' trials' to fail.
absl::Status CheckValues(const SearchRequest& request, const SearchSpace& space);

}  // namespace mase

#endif  // MASE_SEARCH_CHECK_REQUEST_H_
