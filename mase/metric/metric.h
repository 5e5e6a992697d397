// Own metrics: figures of a classifier that plugins bring, beside loss, accuracy, F1 and the others
// that runs measure anyway (mase/exec/classification.h).
//
//   class BalancedAccuracy final : public Metric { ... };
//   registrar.AddMetric({.name = "balanced_accuracy",
//                        .summary = "Mean recall of the classes that have rows.",
//                        .create = [](int64_t classes) -> std::unique_ptr<Metric> {
//                          return std::make_unique<BalancedAccuracy>(classes);
//                        }});
//
// Once its plugin is open, every run that measures a net measures the metric, too: it stands in
// the report under its name, with stage and split, for goals, tables of sweeps and comparisons.
#ifndef MASE_METRIC_METRIC_H_
#define MASE_METRIC_METRIC_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// One measurement of one net on one split. It sees all rows once, in their order, in batches whose
// size the settings say; what it finds should not depend on how they are cut.
class Metric {
 public:
  virtual ~Metric();

  // `scores` are the net's raw results, float32 [rows, classes] row-major, larger for what the net
  // takes for likelier; they may be NaN. `labels` are [rows], each 0 to classes - 1.
  virtual void Add(absl::Span<const float> scores, absl::Span<const int64_t> labels) = 0;

  // The figure, after the last Add. What is no finite number is left out of the report.
  virtual double Finish() const = 0;
};

struct MetricDefinition {
  std::string name;     // Small letters, digits and '_'; none of those of mase/run/measure.h.
  std::string summary;  // One sentence.
  bool higher_is_better = true;
  // Made for each measurement. `classes` is what a row of scores has; at least 1.
  std::function<std::unique_ptr<Metric>(int64_t classes)> create;
};

// Whether a metric can be put into the table: InvalidArgument for a name that is none or without
// `create`; AlreadyExists if the name is taken.
absl::Status CheckMetric(const MetricDefinition& definition);
// Puts it there. Errors of CheckMetric.
absl::Status RegisterMetric(MetricDefinition definition);

// By name; null if there is none. Lives as long as the program.
const MetricDefinition* FindMetric(absl::string_view name);

// All, sorted by name. A snapshot that stays good.
absl::Span<const MetricDefinition* const> OwnMetrics();

}  // namespace mase

#endif  // MASE_METRIC_METRIC_H_
