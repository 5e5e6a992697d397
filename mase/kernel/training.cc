// The part of the table of kernels that training and checking need.
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

[[maybe_unused]] const bool added = AddKernels(
    {UnaryTrainingKernels, BinaryTrainingKernels, LinearTrainingKernels, ConvTrainingKernels,
     ConvTransposeTrainingKernels, PoolTrainingKernels, BatchNormTrainingKernels,
     NormTrainingKernels, SoftmaxTrainingKernels, MoveTrainingKernels, ReduceTrainingKernels,
     PickElementsTrainingKernels, DenseChainTrainingKernels, DropoutTrainingKernels,
     LossTrainingKernels, PickRowsTrainingKernels});

}  // namespace
}  // namespace mase
