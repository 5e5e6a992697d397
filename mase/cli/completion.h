// Completions for shells: actions, flags, and the names of nets, data sets and passes.
#ifndef MASE_CLI_COMPLETION_H_
#define MASE_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/cli/listings.h"

namespace mase {

// [bash] or [zsh]: a script for it, to be sourced or installed; [--help] tells how:
//
//   source <(ch completion bash)
//   ch completion zsh > ~/.zfunc/_ch
//
// `actions` are the program's, in the order in which they are offered.
absl::StatusOr<Listing> ListCompletions(const std::vector<std::string>& words,
                                        absl::Span<const std::string> actions);

}  // namespace mase

#endif  // MASE_CLI_COMPLETION_H_
