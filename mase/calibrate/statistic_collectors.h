// The statistics that statistics.h describes, each how it sees values and what it says of them.
#ifndef MASE_CALIBRATE_STATISTIC_COLLECTORS_H_
#define MASE_CALIBRATE_STATISTIC_COLLECTORS_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/calibrate/statistics.h"

namespace mase {

struct StatisticKind {
  absl::string_view name;
  bool has_dims;  // Else it is of all values alone.
  std::unique_ptr<StatisticCollector> (*make)(absl::string_view name,
                                              const StatisticOptions& options);
};

// All, in the order of statistics.h.
absl::Span<const StatisticKind> StatisticKinds();

}  // namespace mase

#endif  // MASE_CALIBRATE_STATISTIC_COLLECTORS_H_
