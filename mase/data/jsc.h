// Jet substructure classification: 16 features of a particle jet, 5 kinds of particle.
#ifndef MASE_DATA_JSC_H_
#define MASE_DATA_JSC_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/preprocess.h"
#include "mase/data/recipe.h"
#include "proto/dataset.pb.h"

namespace mase {

// The features in MASE's order and the classes g, q, w, z, t.
const std::vector<std::string>& JscFeatures();
const std::vector<std::string>& JscClasses();

// Mean and deviation of the 664,000 training rows of OpenML's set, in the order of JscFeatures.
absl::StatusOr<Standardizer> BundledJscStandardizer();

// Without files in `config`: the 1,000 real rows that ship with the tool, a random sample of a test
// split; there is no training split. With files: as OpenTabular, repeated rows of a single file
// dropped. Standardized by default, where there are no training rows with BundledJscStandardizer.
absl::StatusOr<Dataset> OpenJsc(const DatasetConfig& config, const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_JSC_H_
