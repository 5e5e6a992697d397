// Figures: what a report knows of a run, by name. Goals, tables of runs and comparisons all look
// theirs up here. A figure is
//
//   a metric         a name of MetricReport's (proto/report.proto), accuracy_drop, loss_rise,
//                    parameters or seconds; without more words that of the net as the run leaves it
//   with words       of a stage or a split in front: original.accuracy, validation.loss,
//                    original.test.accuracy. In a training the splits it looked at after each epoch
//                    have the figures of the best epoch, or the last if there is none
//   what a pass says its name or label, and the way into PassReport.result or a count of it:
//                    calculate_bitops.total.forward_bitops, remove_identity.nodes_removed
#ifndef MASE_RUN_FIGURE_H_
#define MASE_RUN_FIGURE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/report.pb.h"

namespace mase {

// What a metric counts, and so the units that it can be given in.
enum class MetricKind { kShare, kBytes, kMicroseconds, kSeconds, kNumber };

// Of a name without words in front; unset if it is no metric's.
std::optional<MetricKind> KindOfMetric(absl::string_view name);

// The K of "top5_accuracy"; 0 if it is no such name.
int TopKOfMetric(absl::string_view name);

// The same of a name split at its points; unset if it is a pass's figure. What a net costs may be
// called as a pass calls what it counts: original.macs is the metric, summary.total.macs the
// pass's.
std::optional<MetricKind> KindOfFigure(absl::Span<const std::string> words);

// Whether the metric of that name is measured on data, and not of the net alone.
bool NeedsRows(absl::string_view name);

// The metrics that have fixed names ("top5_accuracy" has not), those of plugins that are open among
// them.
std::vector<std::string> MetricNames();

// Metrics that are made of two stages: original less last of the accuracy, last less original of
// the loss.
inline constexpr absl::string_view kAccuracyDrop = "accuracy_drop";
inline constexpr absl::string_view kLossRise = "loss_rise";

struct Figure {
  // Of what is a count over rows the quotient of the counts in double, which the float32 that MASE
  // prints is not.
  double value = 0;
  std::string comment;  // "717 of 1,000 rows"
};

// The last entry of that name whose stage and split are among the words, all of them; null if there
// is none. Epochs other than the best are left out.
const MetricReport* FindMetric(const RunReport& report, absl::string_view name,
                               absl::Span<const std::string> words = {});

// `words` is the name split at its points: {"original", "accuracy"}. NotFound says what the report
// has instead.
absl::StatusOr<Figure> FindFigure(absl::Span<const std::string> words, const RunReport& report);

}  // namespace mase

#endif  // MASE_RUN_FIGURE_H_
