#include "mase/graph/attribute.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"

namespace mase {
namespace {

template <typename T>
const T& Get(const Attributes& attributes, absl::string_view name) {
  const Attribute* attribute = attributes.Find(name);
  CHECK(attribute != nullptr) << "no attribute " << name;
  const T* value = std::get_if<T>(attribute);
  CHECK(value != nullptr) << "attribute " << name << " is " << AttributeTypeName(*attribute);
  return *value;
}

// The shortest text that reads back as the same double, in Python's spelling.
std::string PythonFloat(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  char buffer[32];
  const double magnitude = std::fabs(value);
  const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  const auto result =
      std::to_chars(buffer, buffer + sizeof(buffer), value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer, result.ptr);
  if (!scientific && !absl::StrContains(text, ".")) text += ".0";
  return text;
}

}  // namespace

absl::string_view AttributeTypeName(const Attribute& attribute) {
  static constexpr absl::string_view kNames[] = {"bool", "int", "float", "string", "ints"};
  return kNames[attribute.index()];
}

std::string AttributeToPython(const Attribute& attribute) {
  struct Printer {
    std::string operator()(bool value) const { return value ? "True" : "False"; }
    std::string operator()(int64_t value) const { return absl::StrCat(value); }
    std::string operator()(double value) const { return PythonFloat(value); }
    std::string operator()(const std::string& value) const { return absl::StrCat("'", value, "'"); }
    std::string operator()(const std::vector<int64_t>& values) const {
      return absl::StrCat("(", absl::StrJoin(values, ", "), values.size() == 1 ? ",)" : ")");
    }
  };
  return std::visit(Printer(), attribute);
}

void Attributes::Set(absl::string_view name, Attribute value) {
  auto it =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const auto& entry, absl::string_view n) { return entry.first < n; });
  if (it != entries_.end() && it->first == name) {
    it->second = std::move(value);
  } else {
    entries_.emplace(it, std::string(name), std::move(value));
  }
}

const Attribute* Attributes::Find(absl::string_view name) const {
  for (const auto& entry : entries_) {  // Rarely more than ten: a scan is fastest.
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

bool Attributes::Bool(absl::string_view name) const { return Get<bool>(*this, name); }
int64_t Attributes::Int(absl::string_view name) const { return Get<int64_t>(*this, name); }
double Attributes::Float(absl::string_view name) const { return Get<double>(*this, name); }
const std::string& Attributes::String(absl::string_view name) const {
  return Get<std::string>(*this, name);
}
const std::vector<int64_t>& Attributes::Ints(absl::string_view name) const {
  return Get<std::vector<int64_t>>(*this, name);
}

}  // namespace mase
