// The rows that all trials of a search are measured on.
#ifndef MASE_SEARCH_SEARCH_SAMPLE_H_
#define MASE_SEARCH_SEARCH_SAMPLE_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/metric/metric.h"
#include "mase/run/session.h"
#include "mase/tensor/tensor.h"
#include "proto/config.pb.h"
#include "proto/search.pb.h"

namespace mase {

// The rows that trials are measured on.
struct SearchSample {
  Tensor features;  // [rows, ...]
  Tensor labels;    // int64 [rows]
  int64_t batch_size = 128;
  std::string caption;  // "512 of 40,000 simulated rows, validation split"
  // Classes whose recall is wanted, and the name of that metric.
  std::vector<std::pair<int64_t, std::string>> recalls;
  std::vector<const MetricDefinition*> own;  // Metrics of plugins that are wanted.
};

// Rows of the split that the settings name, drawn once by the seed, in the split's order; never of
// the test split. Errors of OpenSplit. InvalidArgument: the split has a label that the session's
// net has no output for; no row is of a class whose recall is among `metrics`.
absl::StatusOr<SearchSample> DrawSample(const SearchSettings& settings, const RunConfig& config,
                                        const Session& session,
                                        const std::set<std::string>& metrics);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_SAMPLE_H_
