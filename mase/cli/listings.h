// What can be listed without a run: passes and their manuals, nets, data sets, versions. Each takes
// the words behind the action's name; InvalidArgument or NotFound for words that it does not
// understand.
#ifndef MASE_CLI_LISTINGS_H_
#define MASE_CLI_LISTINGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/base/table.h"

namespace mase {

// What is printed: a table, a text below it, or one of them.
struct Listing {
  std::optional<Table> table;  // For programs, too: JSON.
  std::string text;
};

// []: a table of all passes. [describe NAME]: the manual of one, from the comments of its options.
// [reference]: the manuals of all bundled passes as Markdown, which docs/reference/passes.md is.
absl::StatusOr<Listing> ListPasses(const std::vector<std::string>& words);

absl::StatusOr<Listing> ListModels(const std::vector<std::string>& words);
absl::StatusOr<Listing> ListDatasets(const std::vector<std::string>& words);

// This tool with its revision, compiler, libraries, and the instruction set that it uses here.
absl::StatusOr<Listing> ListVersions(const std::vector<std::string>& words);

}  // namespace mase

#endif  // MASE_CLI_LISTINGS_H_
