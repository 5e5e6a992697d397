// Simulated jets: as many rows as one likes that behave like the real jet data.
//
// testdata/jsc/jsc_sim_gmm.json holds, for each class, a mixture of three Gaussians over the normal
// scores of 15 features, and jsc_train664k_quantiles.csv 200 quantiles (k/201, k = 1..200) of each
// feature; both were made from real rows, as testdata/jsc/README.md tells. A row is made so:
//
//   class c      the first whose cumulated prior is above a uniform draw
//   component m  the first of c whose cumulated weight is above another one
//   z            = mean + cholesky_lower n, with n 15 normal draws       float32, summed in order
//   u            = Phi(z), by 24 terms of its Taylor series at 0         float64, |z| cut at 2.6
//   feature      the quantiles, linearly interpolated at u               float64, then float32
//   multiplicity is rounded to a whole number; j_d2_a1_b1_mmdt copies j_d2_b1_mmdt
//
// Rows come in blocks of 1,024. Block b draws from a TorchGenerator of its own, seeded with draw b
// (Int63, from 0) of the one seeded with the stream's seed: 1,024 uniform numbers for the classes,
// as many for the components, then one normal tensor of 1,024 x 15. So a row of a stream depends on
// its index and the seed only, and every machine makes the same bits.
//
// No row is in both splits, whatever the numbers of rows of two runs with the same seed: of the
// stream of the data's seed, training has rows 0 to 159,999 and test those from 160,000 on; further
// training rows are those from 160,000 on of a second stream, whose seed is the bitwise complement.
#ifndef MASE_DATA_JSC_SIM_H_
#define MASE_DATA_JSC_SIM_H_

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "proto/dataset.pb.h"

namespace mase {

// config.rows rows (200,000 if unset) of config.seed, 80 % of them for training and the rest for
// test; validation is the training split again. Standardized with BundledJscStandardizer unless
// the config or the recipe says no. InvalidArgument: a recipe with other features or classes.
absl::StatusOr<Dataset> OpenJscSim(const DatasetConfig& config, const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_JSC_SIM_H_
