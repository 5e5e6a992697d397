// LUTNet: a weight of a binarized network as a truth table of k inputs.
#ifndef MASE_FORMAT_LUTNET_H_
#define MASE_FORMAT_LUTNET_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace mase {

inline constexpr int kMaxLutInputs = 8;

// The k x 2^k matrix of -1 and 1, row-major, whose columns are all inputs of a table in
// lexicographic order, -1 first. For k = 2: rows (-1 -1 1 1) and (-1 1 -1 1).
std::vector<float> LutTruthTable(int k);

// The Lagrange basis at k inputs s of +-1: 2^k numbers, 1 for the column that equals the inputs,
// else 0: c_col = prod_k (1 + s_k d_k,col) / 2.
std::vector<float> LutBasis(absl::Span<const float> signs);

// The output of one table over residual levels: sum_l basis(signs of level l) . W_l * rho_l, times
// |gamma| and the pruning mask. `levels` are the table's inputs, [number of levels, k], each
// +-|mean_l|; `weights` [number of levels, 2^k], binarized by their sign if `binarized`.
// InvalidArgument for sizes that disagree or k beyond 1 .. kMaxLutInputs.
absl::StatusOr<float> LutForward(int k, absl::Span<const float> levels,
                                 absl::Span<const float> means, absl::Span<const float> weights,
                                 bool binarized, float gamma, float mask);

// The table that continues a binary_residual weight: w0 * d[0, :] + sum_j extra_j * d[j, :], where
// extra_j is the pruned weight of input j (0 if it was not pruned).
std::vector<float> LutInitialWeights(int k, float w0, absl::Span<const float> extra);

}  // namespace mase

#endif  // MASE_FORMAT_LUTNET_H_
