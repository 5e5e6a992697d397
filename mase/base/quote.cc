#include "mase/base/quote.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

unsigned char ByteAt(absl::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool Continues(absl::string_view text, size_t at) { return (ByteAt(text, at) & 0xc0) == 0x80; }

// Whether a character of UTF-8 acts on a terminal instead of standing there.
bool IsControl(absl::string_view character) {
  const unsigned char first = ByteAt(character, 0);
  if (character.size() == 1)
    return (first < 0x20 && first != '\n' && first != '\t') || first == 127;
  const unsigned char second = ByteAt(character, 1);
  if (character.size() == 2) return first == 0xc2 && second < 0xa0;  // U+0080 to U+009F.
  if (character.size() != 3 || first != 0xe2) return false;
  const unsigned char third = ByteAt(character, 2);
  return (second == 0x80 && third >= 0xaa && third <= 0xae) ||  // U+202A to U+202E.
         (second == 0x81 && third >= 0xa6 && third <= 0xa9);    // U+2066 to U+2069.
}

bool IsAlnumAt(absl::string_view text, size_t at) {
  return at < text.size() && absl::ascii_isalnum(ByteAt(text, at));
}

// Not an apostrophe.
bool OpensName(absl::string_view text, size_t at) {
  return text[at] == '\'' && (at == 0 || !IsAlnumAt(text, at - 1));
}
bool ClosesName(absl::string_view text, size_t at) {
  return text[at] == '\'' && !IsAlnumAt(text, at + 1);
}

// Bytes of the note that Shortened leaves, and of characters that it does not cut.
constexpr size_t kNoteBytes = 40;

// Names of a message, which is Printable, shortened: between quotes on a line, and without a blank.
std::string WithShortNames(absl::string_view message) {
  std::string text;
  size_t at = 0, end_of_line = 0, close = 0;  // The next of each, looked for once.
  const auto take = [&](size_t end) {
    const absl::string_view name = message.substr(at, end - at);
    const bool fits = name.size() <= limits::kMaxMessageNameBytes;
    text += fits ? std::string(name) : Shortened(name, limits::kMaxMessageNameBytes - kNoteBytes);
    at = end;
  };
  while (at < message.size()) {
    if (absl::ascii_isspace(ByteAt(message, at))) {
      text += message[at++];
      continue;
    }
    if (OpensName(message, at)) {
      if (end_of_line < at) end_of_line = std::min(message.find('\n', at), message.size());
      close = std::max(close, at + 1);
      while (close < message.size() && !ClosesName(message, close)) ++close;
      text += message[at++];
      if (close < end_of_line) take(close);
      continue;
    }
    size_t end = at + 1;
    while (end < message.size() && !absl::ascii_isspace(ByteAt(message, end)) &&
           !OpensName(message, end)) {
      ++end;
    }
    take(end);
  }
  return text;
}

}  // namespace

size_t Utf8CharacterBytes(absl::string_view text) {
  const unsigned char lead = ByteAt(text, 0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (!Continues(text, i)) return 0;
  }
  const unsigned char second = ByteAt(text, 1);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool beyond = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
  return overlong || beyond ? 0 : size;
}

std::string Printable(absl::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    const absl::string_view character = text.substr(0, bytes == 0 ? 1 : bytes);
    if (bytes != 0 && !IsControl(character)) {
      printable.append(character.data(), character.size());
    } else {
      for (size_t i = 0; i < character.size(); ++i) {
        absl::StrAppendFormat(&printable, "\\x%02x", ByteAt(character, i));
      }
    }
    text.remove_prefix(character.size());
  }
  return printable;
}

std::string Shortened(absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t head = max_bytes - max_bytes / 4;
  size_t tail = text.size() - max_bytes / 4;
  // At most three bytes of a character follow its first.
  for (int i = 0; i < 3 && head > 0 && Continues(text, head); ++i) --head;
  for (int i = 0; i < 3 && tail < text.size() && Continues(text, tail); ++i) ++tail;
  return absl::StrCat(text.substr(0, head), "[... ", tail - head, " bytes ...]", text.substr(tail));
}

std::string Quoted(absl::string_view text) {
  const std::string shown = Printable(Shortened(text, limits::kMaxQuotedBytes));
  return absl::StrCat("'", absl::StrReplaceAll(shown, {{"\n", "\\n"}, {"\t", "\\t"}}), "'");
}

std::string PrintableMessage(absl::string_view message) {
  return Shortened(WithShortNames(Printable(message)), limits::kMaxMessageBytes);
}

}  // namespace mase
