// What must hold of a settings text before a library parses it.
#ifndef MASE_CONFIG_TEXT_CHECK_H_
#define MASE_CONFIG_TEXT_CHECK_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/config/value.h"

namespace mase {

// Turns offsets into lines and columns (of characters). Asked in ascending order,
// it costs one walk over the text; an earlier offset starts a new one.
class PositionFinder {
 public:
  explicit PositionFinder(absl::string_view text) : text_(text) {}
  Position At(size_t offset);

 private:
  absl::string_view text_;
  size_t offset_ = 0;
  Position position_ = {1, 1};
};

// "NAME:LINE:COL", or "NAME" where there is no line.
std::string Where(absl::string_view name, Position position);

// `text` with line breaks written as \n and \r: messages are one line.
std::string OnOneLine(absl::string_view text);

// "NUL byte in text" or "not UTF-8 text", where `text` is so; else "". `offset`
// becomes the place of the first such byte.
absl::string_view EncodingFault(absl::string_view text, size_t& offset);

// InvalidArgument, with place, for a file of which EncodingFault says something.
absl::Status CheckEncoding(absl::string_view text, absl::string_view name);

// InvalidArgument, with place, where a key or text of the tree is not UTF-8 or has
// a NUL. Escapes can write both, and neither fits a proto's string or a file's name.
absl::Status CheckTexts(const ConfigValue& value, absl::string_view name);

// ResourceExhausted where brackets and dots of keys nest beyond
// limits::kMaxConfigNesting. The TOML library recurses over both, when it parses
// and when it frees; this scan is flat.
absl::Status CheckTomlNesting(absl::string_view text, absl::string_view name);

}  // namespace mase

#endif  // MASE_CONFIG_TEXT_CHECK_H_
