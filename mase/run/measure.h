// What a run measures of a net: loss, accuracy and the figures of every class, for the report and
// for people.
#ifndef MASE_RUN_MEASURE_H_
#define MASE_RUN_MEASURE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/dataset.h"
#include "mase/exec/classification.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/exec/interval.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

struct Measurement {
  Evaluation evaluation;  // Of no samples where nothing was measured.
  Classification classification;
  // What plugins' metrics (mase/metric/metric.h) found, by name.
  std::vector<std::pair<std::string, double>> own_metrics;
  uint32_t rows_checksum = 0;  // Of features and labels: tells whether two are of the same rows.
};

// Runs `executor` over all rows, with the settings' batch size, top-k and, above 10 classes without
// one, top-5, and the metrics of plugins. `sink`, if not null, gets the scores as Evaluate hands
// them out. Errors of Evaluate.
absl::StatusOr<Measurement> MeasureNet(Executor& executor, const SplitData& data, int64_t classes,
                                       const RunConfig& config,
                                       const OutputSink<float>& sink = nullptr);

// Adds the metrics of one stage ("original", "transformed", "test", "best") to the report, and
// replaces its classes by these. A loss that is no finite number is left out there.
void ReportMeasurement(const Measurement& measurement, absl::string_view stage, Split split,
                       const std::vector<std::string>& class_names, RunReport& report);

// What stands below loss and accuracy on the terminal, at most 80 characters wide: the accuracy's
// interval, the largest class, a table of the classes (up to ten, else the worst and the best by
// F1) with the confusion matrix, and the figures of the whole.
std::string ClassificationText(const Classification& figures,
                               const std::vector<std::string>& class_names);

// Adds to the report how two of its stages differ on the rows of a split, if both were measured on
// the same, and returns the entry; null if not.
const ComparisonReport* ReportComparison(absl::string_view first, absl::string_view second,
                                         RunReport& report);

// The same of two accuracies of any reports. False if they were not counted on the same rows, or
// are not known row by row.
bool CompareAccuracies(const MetricReport& first, const MetricReport& second,
                       ComparisonReport& comparison);

// "The accuracy falls by 0.8 points on the same 1,000 rows (28 rows only before, 20 only after): 95
// % interval -2.2 to +0.6 points. 0 lies within it: these rows do not tell the nets apart."
std::string ComparisonText(const ComparisonReport& comparison);

}  // namespace mase

#endif  // MASE_RUN_MEASURE_H_
