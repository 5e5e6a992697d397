// What a search makes of the figures of a trial: objectives, directions, constraints.
//
//   MASE_ASSIGN_OR_RETURN(const Objective objective, Objective::Create(settings, space));
//   MASE_ASSIGN_OR_RETURN(std::vector<double> values, objective.ValuesOf(figures));
//
// Metrics are sorted by name, as in MASE, and scaled: scale * value. Each is an objective with its
// direction, or their sum is the one objective, with the direction of the setup; nothing turns the
// sign of a metric that is to be minimized in a sum.
#ifndef MASE_SEARCH_OBJECTIVE_H_
#define MASE_SEARCH_OBJECTIVE_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "proto/search.pb.h"

namespace mase {

// What runners found of one trial, by metric.
struct TrialFigures {
  std::map<std::string, double> software;  // loss, accuracy, ...
  std::map<std::string, double> hardware;  // average_bitwidth, packed_bytes, ...

  // Null if there is none of the name.
  const double* Find(absl::string_view metric) const;
};

// A metric that a search can have. Beside those of the table there are the metrics of plugins that
// are open (mase/metric/metric.h), and recall_CLASS, the share of a class's rows that are right.
struct MetricInfo {
  absl::string_view name;
  bool software = false;
  bool maximize = false;  // Where the settings do not say.
  absl::string_view about;
};
absl::Span<const MetricInfo> SearchMetrics();
inline constexpr char kRecallOf[] = "recall_";  // And the name of a class.

// A search's name for what a goal calls "bytes", "recall", ...; that itself if it is the same.
std::string SearchMetricOf(absl::string_view figure);

// The objective that is a sum of metrics.
inline constexpr char kScaledSum[] = "scaled_sum";

class Objective {
 public:
  // InvalidArgument: an unknown metric (the nearest is offered), none at all, a sum without
  // direction, a metric whose runner the settings lack, a constraint that is none.
  // `classes` are the data's, by number.
  static absl::StatusOr<Objective> Create(const SearchSettings& settings,
                                          const ParameterSpace& space,
                                          absl::Span<const std::string> classes = {});
  // Adds a metric to those that are read: a goal's. Of another name nothing happens.
  void Need(absl::string_view metric);

  // Of each objective: "accuracy", or kScaledSum of them all.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<Direction>& directions() const { return directions_; }
  // The first that is measured on data (MetricInfo::software), the others being costs; else the
  // first of all.
  size_t error() const { return error_; }
  // Metrics that objectives and constraints read.
  const std::set<std::string>& metrics() const { return needed_; }

  // Metrics by name with their scale. InvalidArgument, naming the metric, if one is missing or no
  // finite number.
  absl::StatusOr<std::map<std::string, double>> ScaledOf(const TrialFigures& figures) const;
  absl::StatusOr<std::vector<double>> ValuesOf(const TrialFigures& figures) const;

  // How far the trial is beyond each constraint on figures; <= 0: satisfied.
  std::vector<double> ConstraintsOf(const TrialFigures& figures) const;
  // How many ConstraintsOf has.
  size_t figure_constraints() const { return on_figures_.size(); }
  // The first constraint on choices alone that the point does not satisfy; "" if there is none.
  std::string Refusal(absl::Span<const double> point) const;

 private:
  struct Term {  // A side of a constraint.
    int parameter = -1;
    std::string metric;
    double number = 0;
    std::string text;
  };
  struct Constraint {
    std::string text;
    std::string relation;
    Term left, right;
  };

  absl::Status AddConstraint(const std::string& text, const ParameterSpace& space);

  std::vector<std::string> classes_;
  std::vector<std::string> names_;
  std::vector<Direction> directions_;
  size_t error_ = 0;
  std::set<std::string> needed_;
  std::map<std::string, double> scales_;
  bool sum_ = false;
  std::vector<Constraint> on_points_, on_figures_;
  std::vector<SearchParameter> parameters_;
};

}  // namespace mase

#endif  // MASE_SEARCH_OBJECTIVE_H_
