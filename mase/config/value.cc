#include "mase/config/value.h"

#include <charconv>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace mase {
namespace {

// The shortest text that reads back as the same number: 1e-05, as Python writes it.
std::string ShowNumber(double number) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  return std::string(buffer, end);
}

// Depth is bounded by limits::kMaxConfigNesting, which every reader enforces.
void Show(const ConfigValue& value, size_t max_bytes, std::string& out) {
  struct Shower {
    size_t max_bytes;
    std::string& out;
    void operator()(Null) { out += "None"; }
    void operator()(bool given) { out += given ? "true" : "false"; }
    void operator()(int64_t given) { absl::StrAppend(&out, given); }
    void operator()(double given) { out += ShowNumber(given); }
    void operator()(const std::string& given) {
      // Escaping only what will be seen keeps a huge string cheap.
      const absl::string_view seen = absl::string_view(given).substr(0, max_bytes);
      absl::StrAppend(&out, "\"", absl::Utf8SafeCEscape(seen), "\"");
    }
    void operator()(const RawText& given) { (*this)(given.text); }
    void operator()(const ValueList& list) {
      out += '[';
      for (size_t i = 0; i < list.size() && out.size() < max_bytes; ++i) {
        if (i > 0) out += ", ";
        Show(list[i], max_bytes, out);
      }
      out += ']';
    }
    void operator()(const ValueTable& table) {
      out += '{';
      for (size_t i = 0; i < table.size() && out.size() < max_bytes; ++i) {
        absl::StrAppend(&out, i > 0 ? ", " : "", absl::Utf8SafeCEscape(table[i].key), " = ");
        Show(table[i].value, max_bytes, out);
      }
      out += '}';
    }
  };
  std::visit(Shower{max_bytes, out}, value.data);
}

}  // namespace

ConfigValue StringOrNull(absl::string_view text, Position position) {
  if (text == "NA") return {Null(), position};
  return {std::string(text), position};
}

std::string ShowValue(const ConfigValue& value, int max_bytes) {
  const size_t limit = static_cast<size_t>(max_bytes);
  std::string text;
  Show(value, limit, text);
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // Not inside a character.
  return text.substr(0, end) + "...";
}

const Member* FindMember(const ValueTable& table, absl::string_view key) {
  for (const Member& member : table) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

}  // namespace mase
