#include "mase/plugin/declarations.h"

#include <algorithm>
#include <cctype>

namespace mase {
namespace {

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Past the literal that begins at `at`, an R"x( )x" or one between quotes.
size_t EndOfLiteral(const std::string& source, size_t at) {
  const bool raw = at > 0 && source[at] == '"' && source[at - 1] == 'R';
  if (raw) {
    const size_t open = source.find('(', at);
    if (open == std::string::npos) return source.size();
    const std::string close = ")" + source.substr(at + 1, open - at - 1) + "\"";
    const size_t end = source.find(close, open);
    return end == std::string::npos ? source.size() : end + close.size();
  }
  for (size_t i = at + 1; i < source.size(); ++i) {
    if (source[i] == '\\') {
      ++i;
    } else if (source[i] == source[at] || source[i] == '\n') {
      return i + 1;
    }
  }
  return source.size();
}

}  // namespace

std::string DeclarationsOf(const std::string& source) {
  std::string out;
  bool blank = false, directive = false;
  const auto put = [&](const std::string& text) {
    if (blank && !out.empty() && IsWordChar(out.back()) && IsWordChar(text.front())) out += ' ';
    blank = false;
    out += text;
  };
  size_t at = 0;
  while (at < source.size()) {
    const char c = source[at];
    if (source.compare(at, 2, "//") == 0) {
      at = std::min(source.find('\n', at), source.size());
      blank = true;
    } else if (source.compare(at, 2, "/*") == 0) {
      const size_t end = source.find("*/", at + 2);
      at = end == std::string::npos ? source.size() : end + 2;
      blank = true;
    } else if (source.compare(at, 2, "\\\n") == 0) {
      at += 2;
      blank = true;
    } else if (c == '\n') {
      if (directive) out += '\n';
      directive = false;
      blank = true;
      ++at;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      blank = true;
      ++at;
    } else if (c == '"' || (c == '\'' && (at == 0 || !IsWordChar(source[at - 1])))) {
      const size_t end = EndOfLiteral(source, at);
      put(source.substr(at, end - at));
      at = end;
    } else {
      if (c == '#' && !directive) {
        if (!out.empty() && out.back() != '\n') out += '\n';
        directive = true;
      }
      put(std::string(1, c));
      ++at;
    }
  }
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out;
}

}  // namespace mase
