// The words of one line of graph text, from left to right, and the types and attributes made of
// them. What the words of a line say of a graph is in graph_text_read.cc.
#ifndef MASE_GRAPH_GRAPH_TEXT_SCANNER_H_
#define MASE_GRAPH_GRAPH_TEXT_SCANNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/graph/attribute.h"
#include "mase/graph/op_schema.h"

namespace mase::graph_text {

// Errors are InvalidArgument and name line and column: "graph text 3:14: want ',', found ')'".
class Scanner {
 public:
  // `line` outlives the scanner; `number` is its own in the text, from 1.
  Scanner(absl::string_view line, int number) : line_(line), number_(number) {}

  // The place of the next character that is no space.
  size_t position();
  bool AtEnd();  // Or a comment.
  absl::string_view Rest() { return line_.substr(position()); }

  bool TryTake(char c);
  absl::Status Take(char c);

  // A bare word, or a quoted one. `what` is for the message: "a node's name".
  absl::StatusOr<std::string> Word(absl::string_view what);
  absl::StatusOr<std::string> Quoted();
  absl::StatusOr<int64_t> Integer();
  // Whole numbers between `open` and `close`; a comma may follow the last.
  absl::StatusOr<std::vector<int64_t>> Integers(char open, char close);

  absl::Status End();

  template <typename... Parts>
  absl::Status Error(const Parts&... parts) {
    return ErrorAt(position(), absl::StrCat(parts...));
  }
  absl::Status ErrorAt(size_t position, absl::string_view message,
                       absl::StatusCode code = absl::StatusCode::kInvalidArgument) const;
  // An error of the graph's, which has a code of its own.
  absl::Status At(size_t position, const absl::Status& status) const;

 private:
  std::string Found();

  const absl::string_view line_;
  const int number_;
  size_t at_ = 0;
};

// "f32[8, 16]"
absl::StatusOr<ValueInfo> ReadType(Scanner& line);

// A value of the type that `like` has, which is the fallback in the op's table.
absl::StatusOr<Attribute> ReadAttribute(const Attribute& like, Scanner& line);

}  // namespace mase::graph_text

#endif  // MASE_GRAPH_GRAPH_TEXT_SCANNER_H_
