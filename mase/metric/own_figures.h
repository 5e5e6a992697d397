// The figures of own metrics over rows as they come.
//
//   OwnFigures figures(OwnMetrics());
//   MASE_RETURN_IF_ERROR(figures.Add(scores, classes, labels));  // For each batch.
//   MASE_ASSIGN_OR_RETURN(const auto named, figures.Finish());   // {{"balanced_accuracy", 0.75}}
#ifndef MASE_METRIC_OWN_FIGURES_H_
#define MASE_METRIC_OWN_FIGURES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/metric/metric.h"

namespace mase {

// One measurement of one net on one split. A metric that throws, or that a plugin made as null, is
// Internal, naming it.
class OwnFigures {
 public:
  explicit OwnFigures(absl::Span<const MetricDefinition* const> metrics) : metrics_(metrics) {}

  // `scores` are [rows, classes] row-major, `labels` [rows]; `classes` is the same in each call.
  absl::Status Add(absl::Span<const float> scores, int64_t classes,
                   absl::Span<const int64_t> labels);

  // Names and figures, in the order of the metrics; none if there was no row.
  absl::StatusOr<std::vector<std::pair<std::string, double>>> Finish() const;

 private:
  absl::Span<const MetricDefinition* const> metrics_;
  std::vector<std::unique_ptr<Metric>> made_;  // At the first rows, one for each of metrics_.
};

}  // namespace mase

#endif  // MASE_METRIC_OWN_FIGURES_H_
