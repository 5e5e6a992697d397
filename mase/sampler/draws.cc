#include "mase/sampler/draws.h"

namespace mase {

double AtUnit(const SearchParameter& parameter, double unit) {
  const absl::optional<uint64_t> count = parameter.size();
  if (!parameter.log && count.has_value()) {
    const double index = std::floor(unit * static_cast<double>(*count));
    return parameter.ValueAt(std::min(static_cast<uint64_t>(index), *count - 1));
  }
  if (!parameter.log)
    return std::min(parameter.high, parameter.low + unit * (parameter.high - parameter.low));
  // A whole number has the logarithms of what rounds to it.
  const double half = parameter.kind == SearchParameter::Kind::kInteger ? 0.5 : 0;
  const double low = std::log(parameter.low - half), high = std::log(parameter.high + half);
  return parameter.Nearest(std::exp(low + unit * (high - low)));
}

Point RandomPoint(const ParameterSpace& space, Draws& draws) {
  Point point(space.dimensions(), kInactive);
  for (size_t i = 0; i < space.dimensions(); ++i) {
    // One draw each, so that a parameter's number does not depend on what is active before it.
    const double unit = draws.Unit();
    if (space.IsActive(i, point)) point[i] = AtUnit(space[i], unit);
  }
  return point;
}

}  // namespace mase
