#include "mase/graph/graph_text_scanner.h"

#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/graph/graph_text_internal.h"

namespace mase::graph_text {

size_t Scanner::position() {
  while (at_ < line_.size() && absl::ascii_isspace(line_[at_])) ++at_;
  return at_;
}

bool Scanner::AtEnd() { return position() == line_.size() || line_[at_] == '#'; }

bool Scanner::TryTake(char c) {
  if (position() == line_.size() || line_[at_] != c) return false;
  ++at_;
  return true;
}

absl::Status Scanner::Take(char c) {
  return TryTake(c) ? absl::OkStatus() : Error("want '", std::string(1, c), "'", Found());
}

absl::StatusOr<std::string> Scanner::Word(absl::string_view what) {
  if (position() < line_.size() && line_[at_] == '"') return Quoted();
  const size_t begin = at_;
  while (at_ < line_.size() && IsBare(line_[at_])) ++at_;
  if (at_ == begin) return Error("want ", what, Found());
  return std::string(line_.substr(begin, at_ - begin));
}

absl::StatusOr<std::string> Scanner::Quoted() {
  MASE_RETURN_IF_ERROR(Take('"'));
  const size_t begin = at_;
  while (at_ < line_.size() && line_[at_] != '"') at_ += line_[at_] == '\\' ? 2 : 1;
  if (at_ >= line_.size()) return ErrorAt(begin - 1, "the text has no closing quote");
  std::string text, problem;
  if (!absl::CUnescape(line_.substr(begin, at_ - begin), &text, &problem)) {
    return ErrorAt(begin - 1, problem);
  }
  ++at_;
  return text;
}

absl::StatusOr<int64_t> Scanner::Integer() {
  const size_t begin = position();
  MASE_ASSIGN_OR_RETURN(const std::string digits, Word("a whole number"));
  int64_t number;
  if (!absl::SimpleAtoi(digits, &number)) {
    return ErrorAt(begin, absl::StrCat("'", digits, "' is no whole number of 64 bits"));
  }
  return number;
}

absl::StatusOr<std::vector<int64_t>> Scanner::Integers(char open, char close) {
  std::vector<int64_t> numbers;
  MASE_RETURN_IF_ERROR(Take(open));
  while (!TryTake(close)) {
    MASE_ASSIGN_OR_RETURN(const int64_t number, Integer());
    numbers.push_back(number);
    if (TryTake(',')) continue;
    MASE_RETURN_IF_ERROR(Take(close));
    break;
  }
  return numbers;
}

absl::Status Scanner::End() {
  return AtEnd() ? absl::OkStatus() : Error("want the end of the line", Found());
}

absl::Status Scanner::ErrorAt(size_t position, absl::string_view message,
                              absl::StatusCode code) const {
  return absl::Status(code, absl::StrCat("graph text ", number_, ":", position + 1, ": ", message));
}

absl::Status Scanner::At(size_t position, const absl::Status& status) const {
  return status.ok() ? status : ErrorAt(position, status.message(), status.code());
}

std::string Scanner::Found() {
  if (AtEnd()) return ", found the end of the line";
  return absl::StrCat(", found '", absl::CEscape(line_.substr(at_, 12)), "'");
}

absl::StatusOr<ValueInfo> ReadType(Scanner& line) {
  const size_t begin = line.position();
  MASE_ASSIGN_OR_RETURN(const std::string name, line.Word("a type, such as f32[8, 16]"));
  std::vector<std::string> known;
  for (const TypeWord& type : kTypeWords) {
    known.emplace_back(type.word);
    if (type.word != name) continue;
    MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, line.Integers('[', ']'));
    const Shape shape{absl::Span<const int64_t>(dims)};
    MASE_RETURN_IF_ERROR(line.At(begin, shape.Validate()));
    return ValueInfo{type.dtype, shape, std::nullopt};
  }
  return line.ErrorAt(begin,
                      absl::StrCat("unknown element type '", name, "'", Suggest(name, known)));
}

absl::StatusOr<Attribute> ReadAttribute(const Attribute& like, Scanner& line) {
  if (std::holds_alternative<std::string>(like)) return line.Quoted();
  if (std::holds_alternative<std::vector<int64_t>>(like)) return line.Integers('(', ')');
  if (std::holds_alternative<int64_t>(like)) return line.Integer();
  const size_t begin = line.position();
  if (std::holds_alternative<bool>(like)) {
    MASE_ASSIGN_OR_RETURN(const std::string word, line.Word("True or False"));
    if (word == "True" || word == "False") return Attribute(word == "True");
    return line.ErrorAt(begin, absl::StrCat("want True or False, found '", word, "'"));
  }
  const bool plus = line.TryTake('+');
  MASE_ASSIGN_OR_RETURN(std::string digits, line.Word("a number"));
  if (line.TryTake('+')) {  // 1e+16
    MASE_ASSIGN_OR_RETURN(const std::string exponent, line.Word("an exponent"));
    digits = absl::StrCat(digits, "+", exponent);
  }
  double number;
  if (plus || !absl::SimpleAtod(digits, &number)) {
    return line.ErrorAt(begin, absl::StrCat("'", digits, "' is no number"));
  }
  return number;
}

}  // namespace mase::graph_text
