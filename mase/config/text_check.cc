#include "mase/config/text_check.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

// The offset behind the TOML string that starts at `begin`, or of the end of its
// line where it is not closed; the parser says so then.
size_t EndOfTomlString(absl::string_view text, size_t begin) {
  const char quote = text[begin];
  const std::string triple(3, quote);
  const bool multi_line = absl::StartsWith(text.substr(begin), triple);
  size_t i = begin + (multi_line ? 3 : 1);
  while (i < text.size()) {
    if (text[i] == '\\' && quote == '"') {
      i += 2;
    } else if (multi_line && absl::StartsWith(text.substr(i), triple)) {
      return i + 3;
    } else if (!multi_line && (text[i] == quote || text[i] == '\n')) {
      return i + 1;
    } else {
      ++i;
    }
  }
  return text.size();
}

}  // namespace

Position PositionFinder::At(size_t offset) {
  if (offset < offset_) *this = PositionFinder(text_);
  for (const size_t end = std::min(offset, text_.size()); offset_ < end; ++offset_) {
    if (text_[offset_] == '\n') {
      position_ = {position_.line + 1, 1};
    } else if ((text_[offset_] & 0xc0) != 0x80) {
      ++position_.column;
    }
  }
  return position_;
}

std::string Where(absl::string_view name, Position position) {
  if (position.line == 0) return std::string(name);
  return absl::StrCat(name, ":", position.line, ":", position.column);
}

std::string OnOneLine(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\n", "\\n"}, {"\r", "\\r"}});
}

absl::string_view EncodingFault(absl::string_view text, size_t& offset) {
  for (offset = 0; offset < text.size();) {
    if (text[offset] == '\0') return "NUL byte in text";
    const size_t size = Utf8CharacterBytes(text.substr(offset));
    if (size == 0) return "not UTF-8 text";
    offset += size;
  }
  return "";
}

absl::Status CheckEncoding(absl::string_view text, absl::string_view name) {
  size_t offset;
  const absl::string_view fault = EncodingFault(text, offset);
  if (fault.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Where(name, PositionFinder(text).At(offset)), ": ", fault));
}

// Recursion is bounded by limits::kMaxConfigNesting, which every reader enforces.
absl::Status CheckTexts(const ConfigValue& value, absl::string_view name) {
  const auto check = [name](absl::string_view text, Position position) {
    size_t offset;
    const absl::string_view fault = EncodingFault(text, offset);
    if (fault.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(Where(name, position), ": ", fault));
  };
  absl::Status status;
  if (const std::string* text = value.string()) {
    status = check(*text, value.position);
  } else if (const ValueList* list = value.list()) {
    for (const ConfigValue& item : *list) status.Update(CheckTexts(item, name));
  } else if (const ValueTable* table = value.table()) {
    for (const Member& member : *table) {
      status.Update(check(member.key, member.position));
      status.Update(CheckTexts(member.value, name));
    }
  }
  return status;
}

absl::Status CheckTomlNesting(absl::string_view text, absl::string_view name) {
  int brackets = 0;
  int dots = 0;  // Of the key at hand.
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = EndOfTomlString(text, i);
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (c == '[' || c == '{') ++brackets;
    if (c == ']' || c == '}') --brackets;
    if (c == '.') ++dots;
    if (absl::string_view("\n=,[{").find(c) != absl::string_view::npos) dots = 0;
    if (brackets + dots > limits::kMaxConfigNesting) {
      return absl::ResourceExhaustedError(absl::StrCat(Where(name, PositionFinder(text).At(i)),
                                                       ": nested more than ",
                                                       limits::kMaxConfigNesting, " levels deep"));
    }
    ++i;
  }
  return absl::OkStatus();
}

}  // namespace mase
