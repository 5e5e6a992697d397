#include "mase/export_c/c_text.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/substitute.h"

namespace mase {
namespace {

constexpr size_t kLine = 96;  // Columns of a table.

struct CType {
  absl::string_view name;
  int64_t least, most, size;
};
constexpr CType kTypes[] = {
    {"uint8_t", 0, 255, 1},
    {"int8_t", -128, 127, 1},
    {"uint16_t", 0, 65535, 2},
    {"int16_t", -32768, 32767, 2},
    {"int32_t", INT32_MIN, INT32_MAX, 4},
    {"int64_t", INT64_MIN, INT64_MAX, 8},
};

// How what is left behind the whole number changes it. Of a float: w is cut towards zero, f is the
// signed rest.
absl::string_view FloatRule(Codes::Rounding rounding) {
  switch (rounding) {
    case Codes::Rounding::kNearestEven:
      break;  // The sum with a large number rounds so.
    case Codes::Rounding::kNearestAway:
      return "  if (f >= 0.5f) ++w;\n  else if (f <= -0.5f) --w;\n";
    case Codes::Rounding::kFloor:
      return "  if (f < 0 || (w == 0 && x < 0)) --w;\n";
    case Codes::Rounding::kCeiling:
      return "  if (f > 0 || (w == 0 && x > 0)) ++w;\n";
    case Codes::Rounding::kTowardZero:
      return "  (void)f;\n";
    case Codes::Rounding::kAwayFromZero:
      return "  if (f > 0 || (w == 0 && x > 0)) ++w;\n"
             "  else if (f < 0 || (w == 0 && x < 0)) --w;\n";
  }
  return "";
}

// Of a shift: q is cut towards minus infinity, r the rest, 0 <= r < 2 * half.
absl::string_view ShiftRule(Codes::Rounding rounding) {
  switch (rounding) {
    case Codes::Rounding::kNearestEven:
      break;  // In one expression.
    case Codes::Rounding::kNearestAway:
      return "  return q + (v >= 0 ? r >= half : r > half);\n";
    case Codes::Rounding::kFloor:
      return "  (void)r;\n  (void)half;\n  return q;\n";
    case Codes::Rounding::kCeiling:
      return "  (void)half;\n  return q + (r > 0);\n";
    case Codes::Rounding::kTowardZero:
      return "  (void)half;\n  return q + (v < 0 && r > 0);\n";
    case Codes::Rounding::kAwayFromZero:
      return "  (void)half;\n  return q + (v > 0 && r > 0);\n";
  }
  return "";
}

absl::string_view RoundingName(Codes::Rounding rounding) {
  switch (rounding) {
    case Codes::Rounding::kNearestEven:
      return "nearest_even";
    case Codes::Rounding::kNearestAway:
      return "nearest_away";
    case Codes::Rounding::kFloor:
      return "floor";
    case Codes::Rounding::kCeiling:
      return "ceiling";
    case Codes::Rounding::kTowardZero:
      return "toward_zero";
    case Codes::Rounding::kAwayFromZero:
      return "away_from_zero";
  }
  return "";
}

std::string Table(absl::string_view head, absl::Span<const std::string> numbers) {
  std::string text = absl::StrCat("static const ", head, "[", numbers.size(), "] = {");
  std::string line = "\n   ";
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (line.size() + numbers[i].size() + 2 > kLine) {
      absl::StrAppend(&text, line);
      line = "\n   ";
    }
    absl::StrAppend(&line, " ", numbers[i], i + 1 < numbers.size() ? "," : "");
  }
  return absl::StrCat(text, line, "};\n");
}

}  // namespace

absl::string_view CTypeFor(int64_t least, int64_t most) {
  return absl::c_find_if(
             kTypes, [&](const CType& type) { return type.least <= least && type.most >= most; })
      ->name;
}

int64_t CSizeOf(absl::string_view type) {
  if (type == "float") return 4;
  if (type == kByteWeights || type == kByteCodes || type == kUnsignedByteCodes) return 1;
  return absl::c_find_if(kTypes, [&](const CType& candidate) { return candidate.name == type; })
      ->size;
}

std::string CFloat(float number) { return absl::StrFormat("%af", number); }

std::string CTable(absl::string_view name, absl::string_view type,
                   absl::Span<const int64_t> numbers) {
  std::vector<std::string> texts;
  for (int64_t number : numbers) texts.push_back(absl::StrCat(number));
  return Table(absl::StrCat(type, " ", name), texts);
}

std::string CTable(absl::string_view name, absl::Span<const float> numbers) {
  std::vector<std::string> texts;
  for (float number : numbers) texts.push_back(CFloat(number));
  return Table(absl::StrCat("float ", name), texts);
}

std::string CHelpers::Use(absl::string_view name, std::string definition) {
  if (absl::c_none_of(used_, [&](const auto& used) { return used.first == name; })) {
    used_.emplace_back(name, std::move(definition));
  }
  return std::string(name);
}

std::string CHelpers::Encode(Codes::Rounding rounding) {
  const std::string name = absl::StrCat("encode_", RoundingName(rounding));
  // Beside 1.5 * 2^23 the last bit of a float is 1. What is too large for that is beyond `most` in
  // any case. No branches, so that compilers can vectorize it.
  const absl::string_view nearest_even =
      "  const float sum = x * inverse + 12582912.0f, s = sum - 12582912.0f;\n"
      "  return (int32_t)(s < (float)least ? (float)least : s > (float)most ? (float)most : s);\n";
  const std::string other = absl::StrCat(
      "  float s = x * inverse, f;\n  int32_t w;\n"
      "  if (!(s > (float)least)) s = (float)least;\n"
      "  if (!(s < (float)most)) s = (float)most;\n"
      "  w = (int32_t)s;\n  f = s - (float)w;\n",
      FloatRule(rounding), "  return w < least ? least : w > most ? most : w;\n");
  return Use(name,
             absl::StrCat("static int32_t ", name,
                          "(float x, float inverse, int32_t least, int32_t most) {\n",
                          rounding == Codes::Rounding::kNearestEven ? nearest_even : other, "}\n"));
}

std::string CHelpers::Shift(Codes::Rounding rounding, bool narrow) {
  const absl::string_view type = narrow ? "int32_t" : "int64_t";
  const std::string name = absl::StrCat(narrow ? "shift32_" : "shift_", RoundingName(rounding));
  const absl::string_view body =
      rounding == Codes::Rounding::kNearestEven
          ? "  return (v + (unit / 2 - 1) + ((v >> n) & 1)) >> n;\n"
          : "  const $0 half = unit / 2, q = v >> n, r = v - q * unit;\n$1";
  return Use(name, absl::StrCat("static ", type, " ", name, "(", type, " v, int n) {\n  const ",
                                type, " unit = (", type, ")1 << n;\n",
                                absl::Substitute(body, type, ShiftRule(rounding)), "}\n"));
}

std::string CHelpers::ToFloatPrecision() {
  const std::string shift = Shift(Codes::Rounding::kNearestEven, false);
  return Use("to_float_precision", absl::StrCat("static int64_t to_float_precision(int64_t v) {\n"
                                                "  int n = 0;\n"
                                                "  int64_t size = v < 0 ? -v : v;\n"
                                                "  while ((size >> n) >= ((int64_t)1 << 24)) ++n;\n"
                                                "  return n == 0 ? v : ",
                                                shift, "(v, n) * ((int64_t)1 << n);\n}\n"));
}

std::string CHelpers::Clamp(bool narrow) {
  const std::string name = narrow ? "clamp32" : "clamp";
  return Use(name,
             absl::Substitute("static int32_t $0($1 v, int32_t least, int32_t most) {\n"
                              "  return v < least ? least : v > most ? most : (int32_t)v;\n}\n",
                              name, narrow ? "int32_t" : "int64_t"));
}

std::string CHelpers::text() const {
  std::string text;
  for (const auto& [name, definition] : used_) absl::StrAppend(&text, definition, "\n");
  return text;
}

}  // namespace mase
