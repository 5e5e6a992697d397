// Trial runners: from a point of the space to the figures of the net there.
//
// Every trial starts from the net as it came, in evaluation mode, on the same rows; nothing is
// carried over but weights, where the settings say that trials inherit them. FormatTrials does so
// for number formats of nodes alone, thousands of times a second; SettingsTrials for any settings,
// by the steps of an ordinary run. Where both can, both find the same bits.
#ifndef MASE_SEARCH_TRIAL_RUNNER_H_
#define MASE_SEARCH_TRIAL_RUNNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "mase/run/run.h"
#include "mase/sampler/trial.h"
#include "mase/search/objective.h"
#include "mase/search/search_sample.h"
#include "mase/search/search_space.h"
#include "mase/tensor/tensor.h"
#include "proto/config.pb.h"
#include "proto/search.pb.h"

namespace mase {

// loss, accuracy_micro, accuracy_macro and, MASE's name for that, accuracy of scores [rows,
// classes]. The loss is the mean of the batches' means, as Evaluate's. MASE's accuracy is the mean
// over classes of the rows of the class that are right; classes that are neither among labels nor
// among predictions are left out. And the recalls and own metrics that the sample asks for.
// Errors of OwnFigures (metric/own_figures.h).
absl::StatusOr<std::map<std::string, double>> SoftwareFigures(absl::Span<const float> scores,
                                                              int64_t classes,
                                                              const SearchSample& sample);

// The settings that a set of assignments stands for, on top of those of the search.
using SettingsOf = std::function<absl::StatusOr<RunConfig>(const std::vector<Assignment>&)>;

// Told the validation loss after each epoch of a trial's training, the first as 1; false ends the
// training and the trial. May be null.
using EpochWatch = std::function<bool(int64_t epochs, double val_loss)>;

class TrialRunner {
 public:
  virtual ~TrialRunner() = default;

  // The figures at the trial's point. An error says what of it cannot be built or run; Cancelled:
  // it was interrupted, or ended by the watch. One caller at a time.
  virtual absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch& watch) = 0;
};

// Folders of the run directory that trials train in begin so; a trial that ends removes its own.
inline constexpr char kTrainingFolder[] = "training-";

// What all runners of a search share; outlives them.
struct SearchContext {
  const SearchSettings& settings;
  const SearchSpace& space;
  const Objective& objective;
  const Graph& graph;  // The net as it came.
  const SearchSample& sample;
  SettingsOf settings_of;
  const RunEnvironment& environment;
  std::string directory;  // For what trials write while they run.

  // Whether trials begin with the trained weights of earlier ones.
  bool inherits() const {
    return settings.strategy().sw_runner().basic_train().weights() == "inherited";
  }
};

// For spaces whose formats_alone() is true. Errors of IncrementalNet::Create.
absl::StatusOr<std::unique_ptr<TrialRunner>> FormatTrials(const SearchContext& context);

// For all spaces.
std::unique_ptr<TrialRunner> SettingsTrials(const SearchContext& context);

// The net of a trial as an ordinary run makes it: passes, and training if the settings have a
// runner that trains, from its parent's weights if it has one (inheritance.h). Errors of
// OpenSession, TakeWeights, RunPasses and Trainer.
absl::StatusOr<Graph> NetOf(const SearchContext& context, const Trial& trial,
                            const EpochWatch& watch = nullptr);

// The figures of that net.
absl::StatusOr<TrialFigures> FiguresOf(const SearchContext& context, const Graph& net);

}  // namespace mase

#endif  // MASE_SEARCH_TRIAL_RUNNER_H_
