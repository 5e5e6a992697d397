#include "mase/sampler/parameter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

// Sums and products of sizes stop at kHugeSpace.
uint64_t Plus(uint64_t a, uint64_t b) { return a > kHugeSpace - b ? kHugeSpace : a + b; }
uint64_t Times(uint64_t a, uint64_t b) { return a != 0 && b > kHugeSpace / a ? kHugeSpace : a * b; }

bool IsWhole(double number) { return std::floor(number) == number; }

absl::Status CheckNumeric(const SearchParameter& p) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("parameter '", p.name, "': ", what, " (low ",
                                                   p.low, ", high ", p.high, ", step ", p.step,
                                                   ")"));
  };
  if (!std::isfinite(p.low) || !std::isfinite(p.high)) return wrong("limits must be finite");
  if (p.low > p.high) return wrong("low must not be above high");
  if (!std::isfinite(p.step) || p.step < 0) return wrong("step must not be below 0");
  if (p.log && p.low <= 0) return wrong("a logarithmic parameter must be above 0");
  if (p.kind == SearchParameter::Kind::kInteger) {
    if (!IsWhole(p.low) || !IsWhole(p.high)) return wrong("limits must be whole numbers");
    if (std::max(std::abs(p.low), std::abs(p.high)) > 0x1p53) {
      return wrong("limits must be within 2^53");
    }
    if (p.step < 1 || !IsWhole(p.step)) return wrong("step must be a whole number from 1 on");
  }
  if (p.log && p.step != (p.kind == SearchParameter::Kind::kInteger ? 1 : 0)) {
    return wrong("a logarithmic parameter has no step");
  }
  return absl::OkStatus();
}

// The parent stands before and can have the values that are asked for.
absl::Status CheckParent(const std::vector<SearchParameter>& parameters, size_t index) {
  const SearchParameter& p = parameters[index];
  if (p.parent < 0) return absl::OkStatus();
  if (static_cast<size_t>(p.parent) >= index) {
    return absl::InvalidArgumentError(
        absl::StrCat("parameter '", p.name, "' depends on one that does not stand before it"));
  }
  const SearchParameter& parent = parameters[p.parent];
  if (p.parent_values.empty() ||
      !absl::c_all_of(p.parent_values, [&](double value) { return parent.Has(value); })) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parameter '", p.name, "' depends on values that '", parent.name, "' cannot have"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ChoiceJson(const ParameterChoice& choice) {
  return std::visit(
      [](const auto& value) -> std::string {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, std::monostate>) {
          return "null";
        } else {
          // Text that is no UTF-8 must not throw.
          return nlohmann::json(value).dump(-1, ' ', true,
                                            nlohmann::json::error_handler_t::replace);
        }
      },
      choice);
}

absl::optional<uint64_t> SearchParameter::size() const {
  if (kind == Kind::kCategorical) return choices.size();
  if (low == high) return 1;
  if (step == 0) return absl::nullopt;
  // A range of tenths has its last value in spite of rounding.
  return static_cast<uint64_t>(std::floor((high - low) / step * (1 + 1e-12))) + 1;
}

double SearchParameter::ValueAt(uint64_t index) const {
  if (kind == Kind::kCategorical) return static_cast<double>(index);
  return std::min(high, low + static_cast<double>(index) * step);
}

bool SearchParameter::Has(double value) const {
  if (kind == Kind::kCategorical) {
    return IsWhole(value) && value >= 0 && value < static_cast<double>(choices.size());
  }
  return value >= low && value <= high && Nearest(value) == value;
}

double SearchParameter::Nearest(double number) const {
  const absl::optional<uint64_t> count = size();
  if (!count.has_value()) return std::clamp(number, low, high);
  if (*count == 1) return ValueAt(0);
  const double base = kind == Kind::kCategorical ? 0 : low;
  const double width = kind == Kind::kCategorical ? 1 : step;
  const double index = std::floor((number - base) / width + 0.5);
  return ValueAt(static_cast<uint64_t>(std::clamp(index, 0.0, static_cast<double>(*count - 1))));
}

SearchParameter CategoricalParameter(absl::string_view name, std::vector<ParameterChoice> choices) {
  return {.name = std::string(name), .choices = std::move(choices)};
}

SearchParameter IntegerParameter(absl::string_view name, int64_t low, int64_t high, int64_t step) {
  return {.name = std::string(name),
          .kind = SearchParameter::Kind::kInteger,
          .low = static_cast<double>(low),
          .high = static_cast<double>(high),
          .step = static_cast<double>(step)};
}

SearchParameter RealParameter(absl::string_view name, double low, double high, bool log) {
  return {.name = std::string(name),
          .kind = SearchParameter::Kind::kReal,
          .low = low,
          .high = high,
          .log = log};
}

Point PointKey(Point point) {
  for (double& value : point) {
    if (std::isnan(value)) value = std::numeric_limits<double>::infinity();
  }
  return point;
}

absl::StatusOr<ParameterSpace> ParameterSpace::Create(std::vector<SearchParameter> parameters) {
  if (parameters.empty()) return absl::InvalidArgumentError("the search space has no parameter");
  absl::flat_hash_set<std::string> names;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const SearchParameter& p = parameters[i];
    if (p.name.empty()) return absl::InvalidArgumentError("a parameter has no name");
    if (!names.insert(p.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter '", p.name, "' is in the search space twice"));
    }
    if (p.kind == SearchParameter::Kind::kCategorical) {
      if (p.choices.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("parameter '", p.name, "' has no choices; give it at least one"));
      }
    } else {
      MASE_RETURN_IF_ERROR(CheckNumeric(p));
    }
    MASE_RETURN_IF_ERROR(CheckParent(parameters, i));
  }
  return ParameterSpace(std::move(parameters));
}

ParameterSpace::ParameterSpace(std::vector<SearchParameter> parameters)
    : parameters_(std::move(parameters)), children_(dimensions()), spans_(dimensions()) {
  bool finite = true;
  for (size_t i = 0; i < dimensions(); ++i) {
    finite = finite && parameters_[i].size().has_value();
    if (parameters_[i].parent < 0) continue;
    conditional_ = true;
    children_[parameters_[i].parent].push_back(static_cast<int>(i));
  }
  if (!finite) return;
  size_ = 1;
  // Children stand behind their parents.
  for (size_t i = dimensions(); i-- > 0;) {
    const uint64_t count = *parameters_[i].size();
    if (children_[i].empty()) {
      spans_[i] = count;
    } else {
      // Values that no child asks for span one point each; only the others are looked at.
      std::vector<double> asked;
      for (int child : children_[i]) {
        const std::vector<double>& values = parameters_[child].parent_values;
        asked.insert(asked.end(), values.begin(), values.end());
      }
      absl::c_sort(asked);
      asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
      spans_[i] = count - asked.size();
      for (double value : asked) {
        uint64_t below = 1;
        for (int child : children_[i]) {
          if (absl::c_linear_search(parameters_[child].parent_values, value)) {
            below = Times(below, spans_[child]);
          }
        }
        spans_[i] = Plus(spans_[i], below);
      }
    }
    if (parameters_[i].parent < 0) size_ = Times(*size_, spans_[i]);
  }
}

int ParameterSpace::Find(absl::string_view name) const {
  const auto found = absl::c_find_if(parameters_, [&](const auto& p) { return p.name == name; });
  return found == parameters_.end() ? -1 : static_cast<int>(found - parameters_.begin());
}

bool ParameterSpace::IsActive(size_t index, absl::Span<const double> point) const {
  const SearchParameter& p = parameters_[index];
  return p.parent < 0 || absl::c_linear_search(p.parent_values, point[p.parent]);
}

Point ParameterSpace::PointAt(uint64_t index) const {
  Point point(dimensions(), kInactive);
  for (size_t i = 0; i < dimensions(); ++i) {
    if (!IsActive(i, point)) continue;
    // What turns faster than this parameter: those behind it that do not depend on it and will be
    // active whatever they choose.
    uint64_t others = 1;
    for (size_t j = i + 1; j < dimensions(); ++j) {
      const int parent = parameters_[j].parent;
      if (parent < 0 || (parent < static_cast<int>(i) && IsActive(j, point))) {
        others = Times(others, spans_[j]);
      }
    }
    if (children_[i].empty()) {
      point[i] = parameters_[i].ValueAt(index / others);
      index %= others;
      continue;
    }
    for (uint64_t choice = 0;; ++choice) {
      point[i] = parameters_[i].ValueAt(choice);
      uint64_t block = others;
      for (int child : children_[i]) {
        if (IsActive(child, point)) block = Times(block, spans_[child]);
      }
      if (index < block) break;
      index -= block;
    }
  }
  return point;
}

absl::Status ParameterSpace::Check(absl::Span<const double> point) const {
  if (point.size() != dimensions()) {
    return absl::InvalidArgumentError(absl::StrCat("a point has ", point.size(), " numbers, not ",
                                                   dimensions(), " as the search space"));
  }
  for (size_t i = 0; i < dimensions(); ++i) {
    const SearchParameter& p = parameters_[i];
    const bool active = IsActive(i, point);
    if (active == std::isnan(point[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "parameter '", p.name, active ? "' has no value" : "' is not active and has a value"));
    }
    if (active && !p.Has(point[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "parameter '", p.name, "' cannot be ", point[i],
          p.kind == SearchParameter::Kind::kCategorical ? " (index of a choice)" : ""));
    }
  }
  return absl::OkStatus();
}

std::string ParameterSpace::Describe(size_t index, double value) const {
  if (std::isnan(value)) return "-";
  const SearchParameter& p = parameters_[index];
  if (p.kind == SearchParameter::Kind::kReal) return absl::StrCat(value);
  if (p.kind == SearchParameter::Kind::kInteger) return absl::StrCat(static_cast<int64_t>(value));
  const ParameterChoice& choice = p.choices[static_cast<size_t>(value)];
  if (std::holds_alternative<std::monostate>(choice)) return "NA";
  if (const auto* text = std::get_if<std::string>(&choice)) return *text;
  return ChoiceJson(choice);
}

}  // namespace mase
