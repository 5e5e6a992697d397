// Texts from outside in messages: file names, names in files, what a library says.
//
//   absl::StrCat("no column ", Quoted(name))   // no column 'x\x1b[31m', never a red terminal
//
// Control bytes would move the cursor or recolour the terminal of whoever reads the message, and a
// name of a megabyte would bury it.
#ifndef MASE_BASE_QUOTE_H_
#define MASE_BASE_QUOTE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace mase {

// Bytes of the UTF-8 character at the start of `text`, which must not be empty; 0 if it is none.
// Overlong forms, surrogates and values above U+10FFFF are none (RFC 3629).
size_t Utf8CharacterBytes(absl::string_view text);

// `text` as a terminal may get it. Line breaks and tabs stay. Other control characters (C0, DEL,
// C1), those that turn the direction of writing (U+202A to U+202E, U+2066 to U+2069), and bytes
// that are not UTF-8 become "\xNN" for each of their bytes. Running it again changes nothing.
std::string Printable(absl::string_view text);

// `text` with its middle left out where it has more than `max_bytes`, which is said in its place:
// "abc[... 1000000 bytes ...]xyz". No UTF-8 character is cut in two.
std::string Shortened(absl::string_view text, size_t max_bytes);

// A name or value from outside between quotes, on one line and of bounded length: Printable, line
// breaks as "\n", at most limits::kMaxQuotedBytes of it.
std::string Quoted(absl::string_view text);

// A whole message for a terminal: Printable and of at most limits::kMaxMessageBytes. Names in it,
// which are what stands between single quotes and what has no blank, are shortened to at most
// limits::kMaxMessageNameBytes, whoever wrote the message.
std::string PrintableMessage(absl::string_view message);

}  // namespace mase

#endif  // MASE_BASE_QUOTE_H_
