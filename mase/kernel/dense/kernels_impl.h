// The tables of kernels.h for MASE_DENSE_LANES; the whole of each kernels_*.cc.
#include "mase/kernel/dense/chain_kernels.h"
#include "mase/kernel/dense/layout_kernels.h"
#include "mase/kernel/dense/norm_kernels.h"
#include "mase/kernel/dense/optimizer_kernels.h"
#include "mase/kernel/dense/product_kernels.h"
#include "mase/kernel/dense/softmax_kernels.h"

namespace mase::MASE_DENSE_NAMESPACE {

extern const DenseChainLoops kChainKernels = {.row = ChainRow, .block = ChainBlock};

extern const DenseKernels kKernels = {
    .load_by_feature = LoadByFeature,
    .store_by_row = StoreByRow,
    .product = Product,
    .weight_gradient = WeightGradient,
    .moments = Moments,
    .normalize = Normalize,
    .norm_gradient_sums = NormGradientSums,
    .norm_gradient = NormGradient,
    .relu = Relu,
    .relu_gradient = ReluGradient,
    .multiply = Multiply,
    .round_to_bfloat16 = RoundToBfloat16,
    .accumulate = Accumulate,
    .softmax_cross_entropy = CrossEntropy,
    .adam = Adam,
    .sgd = Sgd,
};

}  // namespace mase::MASE_DENSE_NAMESPACE
