// The plots of a page of runs: curves of trainings, histograms of weights.
#ifndef MASE_RUN_PAGE_PLOTS_H_
#define MASE_RUN_PAGE_PLOTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/interop/svg_curves.h"
#include "mase/run/finished_run.h"
#include "nlohmann/json.hpp"
#include "proto/report.pb.h"

namespace mase {

// Each plot stands in the page as an SVG, which needs no script, and as data for the script.
class Plots {
 public:
  // The HTML of one more plot, of lines and dots. `steps`: curves are flat between points, as of a
  // histogram.
  std::string Add(const Picture& picture, bool steps, absl::string_view caption);

  // The data of all, for a script element: nothing in it ends one.
  std::string Json() const;

 private:
  nlohmann::ordered_json data_ = nlohmann::json::array();
};

// Plots side by side, where there is room; "" of none.
std::string PlotGrid(absl::string_view plots);

// Loss, accuracy and learning rate over the epochs; "" of what is no training.
std::string TrainingCurves(const FinishedRun& run, Plots& plots);

// Validation loss and accuracy of all runs that are trainings; "" if none is.
std::string CurvesOfRuns(absl::Span<const FinishedRun> runs, Plots& plots);

// The weights of a report, float and as computed with: the first 64.
std::string Histograms(const RunReport& report, Plots& plots);

}  // namespace mase

#endif  // MASE_RUN_PAGE_PLOTS_H_
