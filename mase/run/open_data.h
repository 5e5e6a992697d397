// The data of a run, and the recipe that goes with its net.
#ifndef MASE_RUN_OPEN_DATA_H_
#define MASE_RUN_OPEN_DATA_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "mase/run/open_model.h"
#include "mase/run/run.h"
#include "proto/config.pb.h"

namespace mase {

struct OpenedData {
  Dataset dataset;
  DatasetConfig config;              // As it was opened: what the settings leave open is filled in.
  std::optional<DataRecipe> recipe;  // The loaded checkpoint's.
};

// Opens the data that the settings name, under the recipe of the loaded checkpoint unless the
// settings say dataset.recipe=false. A training takes features, classes and scaling from there, and
// the data as they are named; other actions also take the settings of the data from there, where
// the set is the same, and the set itself, where none is named. The reporter is told what a user
// should know: that there is no recipe, another set, the data set's own notes.
//
// InvalidArgument: no data are named; else OpenDataset's errors.
absl::StatusOr<OpenedData> OpenData(const RunConfig& config, absl::string_view action,
                                    const std::optional<OpenedCheckpoint>& opened,
                                    const RunEnvironment& environment);

// Tells the data set's notes since the last call.
void ReportNotes(const Dataset& dataset, Reporter& reporter);

// The recipe for checkpoints of a training on these data: rows that the loaded net was trained on
// before stay known.
absl::StatusOr<DataRecipe> RecipeOfTraining(const OpenedData& data);

// The recipe for the checkpoint of a net that was not trained now: the loaded one as it is; without
// one, what the data say of features and classes. Nothing where that are files of the user's own
// without training rows, as their classes are not all there are.
absl::StatusOr<std::optional<DataRecipe>> RecipeOfTransform(const OpenedData& data, bool untrained);

// "the net was trained on 12 of the 30 rows measured (test split: all rows of test.csv), ...";
// empty if it was on none, or if nothing is known.
std::string OverlapWarning(const std::optional<DataRecipe>& recipe, Split split,
                           const SplitData& data);

}  // namespace mase

#endif  // MASE_RUN_OPEN_DATA_H_
