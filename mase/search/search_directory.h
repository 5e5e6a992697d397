// The run directory of a search: a new one, or that of the same search before, which goes on there.
#ifndef MASE_SEARCH_SEARCH_DIRECTORY_H_
#define MASE_SEARCH_SEARCH_DIRECTORY_H_

#include "absl/status/statusor.h"
#include "mase/run/run_directory.h"
#include "mase/run/session.h"
#include "mase/search/search_run.h"

namespace mase {

// The directory that the request's settings name, or a new one. A search goes on where all settings
// are the same but those that say for how long and how fast it searches; what killed trainings left
// there is deleted. AlreadyExists: the directory is there and is no search, or samplers are to be
// compared, which does not go on. InvalidArgument, with what differs: a search with other settings.
absl::StatusOr<RunDirectory> OpenSearchDirectory(const SearchRequest& request,
                                                 const Session& session);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_DIRECTORY_H_
