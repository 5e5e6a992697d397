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
// (Int63, from 0) of the one seeded with the data's seed: 1,024 uniform numbers for the classes, as
// many for the components, then one normal tensor of 1,024 x 15. So a row depends on its index and
// the seed only, and every machine makes the same bits.
#ifndef MASE_DATA_JSC_SIM_H_
#define MASE_DATA_JSC_SIM_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "proto/dataset.pb.h"

namespace mase {

// Rows 0..rows-1 (config.rows, 200,000 if unset), the first 80 % for training and the rest for
// test; validation is the training split again. Standardised with BundledJscStandardizer unless
// the config says no.
absl::StatusOr<Dataset> OpenJscSim(const DatasetConfig& config, uint64_t seed);

}  // namespace mase

#endif  // MASE_DATA_JSC_SIM_H_
