// "Did you mean" for error messages about unknown names.
#ifndef MASE_BASE_SUGGEST_H_
#define MASE_BASE_SUGGEST_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// Edits that turn `a` into `b`: insertions, deletions, replacements and swaps of
// two neighbours count one each; case and '-' against '_' count nothing. Bytes,
// not characters. Cost: O(|a| |b|).
int EditDistance(absl::string_view a, absl::string_view b);

// "; did you mean 'x'?" with the candidate nearest to `name`, the first of equals,
// or "" where none is near enough to be a likely slip: at most 1 + |name|/4 edits.
// The one candidate that begins with `name` goes before all that are more than one
// edit away. Made to be appended:
//
//   InvalidArgumentError(StrCat("unknown op '", op, "'", Suggest(op, OpNames())));
std::string Suggest(absl::string_view name, absl::Span<const std::string> candidates);

}  // namespace mase

#endif  // MASE_BASE_SUGGEST_H_
