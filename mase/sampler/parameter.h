// What a search chooses from: named parameters, and the points of the space that they span.
//
//   MASE_ASSIGN_OR_RETURN(
//       ParameterSpace space,
//       ParameterSpace::Create({CategoricalParameter("linear/config/weight_width", {2, 4, 8}),
//                               IntegerParameter("layers", 1, 3)}));
//   space.size();                        // 9
//   space.PointAt(1);                    // {0, 2}: width 2 and two layers
//   space.Describe(0, 0.0);              // "2"
//
// A point is one number a parameter, kept as Optuna keeps it ("internal" there): of a categorical
// parameter the index into its choices, of others the number itself. NaN stands for a parameter
// that is not active: one that depends on another whose value does not ask for it.
#ifndef MASE_SAMPLER_PARAMETER_H_
#define MASE_SAMPLER_PARAMETER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace mase {

// One choice of a categorical parameter: a JSON scalar. monostate is null, which MASE writes "NA".
using ParameterChoice = std::variant<std::monostate, bool, int64_t, double, std::string>;

// As JSON has it: null, true, 8, 0.5, "integer".
std::string ChoiceJson(const ParameterChoice& choice);

struct SearchParameter {
  enum class Kind { kCategorical, kInteger, kReal };

  std::string name;  // As MASE flattens it: "seq_blocks_2/config/weight_width".
  // Those of one group act together: the keys of one node's format have its name. "": alone.
  std::string group;
  Kind kind = Kind::kCategorical;
  std::vector<ParameterChoice> choices;  // kCategorical; the order is the order of the grid.

  // kInteger and kReal: low, low + step, ... up to `high`, which is one of them where the step
  // divides the range. An integer's step is at least 1; step 0 makes a real one continuous. `log`:
  // drawn evenly over the logarithm; without a step but 1 of an integer, and above 0.
  double low = 0;
  double high = 0;
  double step = 0;
  bool log = false;

  // The parameter is active only where the parameter at index `parent`, before this one, is active
  // and has one of `parent_values` (numbers as of points). -1: always.
  int parent = -1;
  std::vector<double> parent_values;

  // How many values it has; nullopt: a continuum.
  absl::optional<uint64_t> size() const;
  // The value at `index` < size().
  double ValueAt(uint64_t index) const;
  // Whether it can have that value; NaN never.
  bool Has(double value) const;
  // The nearest value to `number` that the parameter has. Halves go up.
  double Nearest(double number) const;
};

SearchParameter CategoricalParameter(absl::string_view name, std::vector<ParameterChoice> choices);
SearchParameter IntegerParameter(absl::string_view name, int64_t low, int64_t high,
                                 int64_t step = 1);
SearchParameter RealParameter(absl::string_view name, double low, double high, bool log = false);

using Point = std::vector<double>;
inline constexpr double kInactive = std::numeric_limits<double>::quiet_NaN();

// The point for sets and maps: without NaN, which equals nothing.
Point PointKey(Point point);

// A space's size beyond which it is only known that it is larger.
inline constexpr uint64_t kHugeSpace = std::numeric_limits<uint64_t>::max();

// A checked list of parameters. Immutable.
class ParameterSpace {
 public:
  // InvalidArgument, with the parameter's name: no parameter, a name twice or empty, no choice,
  // limits that are not finite or in the wrong order, a step below 0, a logarithm of what is not
  // above 0, a parent that does not stand before.
  static absl::StatusOr<ParameterSpace> Create(std::vector<SearchParameter> parameters);

  const std::vector<SearchParameter>& parameters() const { return parameters_; }
  const SearchParameter& operator[](size_t index) const { return parameters_[index]; }
  size_t dimensions() const { return parameters_.size(); }
  bool conditional() const { return conditional_; }  // Whether any parameter has a parent.

  // The index of the parameter of that name; -1.
  int Find(absl::string_view name) const;

  // How many different points there are, inactive parameters aside; nullopt: infinitely many;
  // kHugeSpace: that many or more.
  absl::optional<uint64_t> size() const { return size_; }

  // Whether the parameter is active, given what the ones before it are in `point`.
  bool IsActive(size_t index, absl::Span<const double> point) const;

  // Point number `index` < size() of the grid, whose last parameter turns fastest. Requires a
  // size.
  Point PointAt(uint64_t index) const;

  // InvalidArgument, naming parameter and value: not as many numbers as parameters, a value that
  // the parameter does not have, an active one without, an inactive one with a value.
  absl::Status Check(absl::Span<const double> point) const;

  // A parameter's value as people read it: "8", "integer", "NA" for null, "-" where it is NaN.
  std::string Describe(size_t index, double value) const;

 private:
  explicit ParameterSpace(std::vector<SearchParameter> parameters);

  std::vector<SearchParameter> parameters_;
  bool conditional_ = false;
  absl::optional<uint64_t> size_;
  std::vector<std::vector<int>> children_;  // Of each parameter.
  // Of each parameter, how many points it spans with all that depend on it.
  std::vector<uint64_t> spans_;
};

}  // namespace mase

#endif  // MASE_SAMPLER_PARAMETER_H_
