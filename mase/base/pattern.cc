#include "mase/base/pattern.h"

#include <re2/re2.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

constexpr size_t kQuotedBytes = 60;  // Of a piece of a pattern in a message.

re2::StringPiece Piece(absl::string_view text) { return {text.data(), text.size()}; }

std::string Quoted(absl::string_view text) {
  const bool whole = text.size() <= kQuotedBytes;
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kQuotedBytes)), whole ? "'" : "...'");
}

// What to do about it, where more can be said than what is wrong.
absl::string_view Advice(const re2::RE2& compiled) {
  switch (compiled.error_code()) {
    case re2::RE2::ErrorBadPerlOp:
      return "; look-around is not offered: list the names, or write a pattern for each kind";
    case re2::RE2::ErrorBadEscape:
      return "; back references are not offered, and a backslash itself is \\\\";
    case re2::RE2::ErrorRepeatArgument:
      return "; any text is .*";
    case re2::RE2::ErrorPatternTooLarge:
    case re2::RE2::ErrorRepeatSize:
      return "; repeat less";
    default:
      return "";
  }
}

}  // namespace

absl::StatusOr<Pattern> Pattern::Compile(absl::string_view text) {
  if (text.size() > static_cast<size_t>(limits::kMaxPatternBytes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a pattern of ", text.size(), " bytes; the limit is ", limits::kMaxPatternBytes));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(limits::kMaxPatternMemoryBytes);
  auto compiled = std::make_shared<const re2::RE2>(Piece(text), options);
  if (compiled->ok()) return Pattern(std::move(compiled));
  // RE2 says "missing ): (conv"; the part behind the colon is the pattern's own.
  absl::string_view wrong = compiled->error();
  wrong = wrong.substr(0, wrong.find(": "));
  return absl::InvalidArgumentError(absl::StrCat(
      "not a regular expression: ", wrong,
      compiled->error_arg().empty() ? "" : absl::StrCat(", at ", Quoted(compiled->error_arg())),
      Advice(*compiled)));
}

bool Pattern::Matches(absl::string_view name) const {
  return re2::RE2::FullMatch(Piece(name), *compiled_);
}

const std::string& Pattern::text() const { return compiled_->pattern(); }

}  // namespace mase
