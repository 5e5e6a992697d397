// How the rows of data become what a net reads: proto/recipe.proto, which travels with the weights.
//
// A training makes it of the data set that it opened (DescribeData) and stores it in its
// checkpoints (model/checkpoint.h). Whoever loads one opens data under it (OpenDataset): features
// and classes are matched by name and get the numbers that the net knows, features are scaled as
// the training's were. Data that cannot be read so are refused; what may be meant, but deserves a
// word, is a note of the data set.
#ifndef MASE_DATA_RECIPE_H_
#define MASE_DATA_RECIPE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/dataset.h"
#include "mase/data/preprocess.h"
#include "proto/dataset.pb.h"
#include "proto/recipe.pb.h"

namespace mase {

// What a data set is opened for.
struct OpenOptions {
  const DataRecipe* recipe = nullptr;  // Of the net that is to read it. Must outlive the call only.
  // All rows of a file of the user's own (`path`) are for test, unless the net was trained on a
  // part of just this file: then the rest of it is.
  bool for_test = false;
};

// The recipe of `dataset`, which was opened with `config`, with those of `splits` that it has,
// which are loaded: errors of Dataset::Get. `trained_on` is left empty.
absl::StatusOr<DataRecipe> DescribeData(const Dataset& dataset, const DatasetConfig& config,
                                        absl::Span<const Split> splits);

// Text proto, the same for the same recipe. Numbers are read back to the bit.
std::string RecipeText(const DataRecipe& recipe);
// DataLoss if the text is no recipe or contradicts itself: other than one scale (finite, above 0)
// per feature, names that repeat, a damaged sketch.
absl::StatusOr<DataRecipe> ReadRecipe(absl::string_view text);

// A net's features and classes beside those of a data set that has its own: InvalidArgument naming
// the first that differs, and both sides.
absl::Status CheckFits(const DataRecipe& recipe, const DatasetInfo& info);

// Whether and how to scale features.
struct Scaling {
  bool wanted = false;
  std::optional<Standardizer> known;  // The recipe's. Unset: the training rows say.
};
// As the settings say; where they do not, as the recipe says; without one as the set does. Settings
// that contradict the recipe win with a warning.
Scaling ChooseScaling(const DatasetConfig& config, const OpenOptions& options, bool set_default,
                      Notes& notes);

Scaler ToProto(const Standardizer& standardizer);
Standardizer FromProto(const Scaler& scaler);

}  // namespace mase

#endif  // MASE_DATA_RECIPE_H_
