// The door to all data: a config in, a Dataset out.
#ifndef MASE_DATA_OPEN_DATASET_H_
#define MASE_DATA_OPEN_DATASET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "proto/dataset.pb.h"

namespace mase {

// Opens the data set that `config` describes (proto/dataset.proto), its paths being absolute or
// relative to the working directory; under a recipe, if the options have one (data/recipe.h).
//
// NotFound: an unknown name (the nearest is offered) or a missing file. InvalidArgument: a config
// field that the set has no use for, or files with the wrong content (NaN, a missing column,
// ragged rows, unknown classes), naming file and line, or that do not fit the recipe. DataLoss: a
// damaged file. ResourceExhausted: sizes beyond base/limits.h. What a split needs may be read only
// when it is asked for, so Dataset::Get returns the same errors.
absl::StatusOr<Dataset> OpenDataset(const DatasetConfig& config, const OpenOptions& options = {});

// One line of the table of known data sets, for listings.
struct KnownDataset {
  std::string name;
  std::string description;
};
std::vector<KnownDataset> KnownDatasets();

}  // namespace mase

#endif  // MASE_DATA_OPEN_DATASET_H_
