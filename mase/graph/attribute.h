// Constant arguments of a node: kernel sizes, dimensions, flags.
#ifndef MASE_GRAPH_ATTRIBUTE_H_
#define MASE_GRAPH_ATTRIBUTE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace mase {

using Attribute = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

// "bool", "int", "float", "string", "ints": for error messages.
absl::string_view AttributeTypeName(const Attribute& attribute);

// As Python prints it: True, 3, 1e-05, 'zeros', (3, 3).
std::string AttributeToPython(const Attribute& attribute);

// A small map sorted by name. The typed getters CHECK presence and type: the
// op's schema has verified both when the node was made.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, Attribute>> entries) {
    for (const auto& [name, value] : entries) Set(name, value);
  }

  void Set(absl::string_view name, Attribute value);
  const Attribute* Find(absl::string_view name) const;  // Null if absent.

  bool Bool(absl::string_view name) const;
  int64_t Int(absl::string_view name) const;
  double Float(absl::string_view name) const;
  const std::string& String(absl::string_view name) const;
  const std::vector<int64_t>& Ints(absl::string_view name) const;

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  size_t size() const { return entries_.size(); }

  friend bool operator==(const Attributes& a, const Attributes& b) {
    return a.entries_ == b.entries_;
  }

 private:
  std::vector<std::pair<std::string, Attribute>> entries_;
};

}  // namespace mase

#endif  // MASE_GRAPH_ATTRIBUTE_H_
