// Pattern: a regular expression that whole names are matched against.
//
//   MASE_ASSIGN_OR_RETURN(const Pattern pattern, Pattern::Compile("seq_blocks_[0-9]+"));
//   pattern.Matches("seq_blocks_11");    // true
//   pattern.Matches("my_seq_blocks_1");  // false: the whole name or nothing
//
// The syntax is RE2's: Perl's and Python's without look-around and back references, which is what
// makes matching linear in the name's length whatever the pattern, in bounded memory and stack.
// Patterns come from config files and are as hostile as those.
#ifndef MASE_BASE_PATTERN_H_
#define MASE_BASE_PATTERN_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace mase {

// Cheap to copy; usable by many threads at once.
class Pattern {
 public:
  // InvalidArgument, with the place that is wrong and what to write instead where that is known;
  // also for text longer than limits::kMaxPatternBytes, text that is not UTF-8, and patterns whose
  // automaton needs more than limits::kMaxPatternMemoryBytes ("(a{1,1000}){1,1000}").
  static absl::StatusOr<Pattern> Compile(absl::string_view text);

  // Whether the whole of `name` matches.
  bool Matches(absl::string_view name) const;

  const std::string& text() const;

 private:
  explicit Pattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}

  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace mase

#endif  // MASE_BASE_PATTERN_H_
