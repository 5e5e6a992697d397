// The parts of the table of kernels, one function a file. Only kernel.cc and the files that
// implement kernels include this.
#ifndef MASE_KERNEL_KERNELS_H_
#define MASE_KERNEL_KERNELS_H_

#include <memory>
#include <vector>

#include "mase/kernel/kernel.h"

namespace mase {

template <typename T>
std::vector<KernelEntry<T>> UnaryKernels();  // relu, gelu, ...
template <typename T>
std::vector<KernelEntry<T>> BinaryKernels();  // add, sub, mul, div
template <typename T>
std::vector<KernelEntry<T>> LinearKernels();  // linear, matmul, bmm
template <typename T>
std::vector<KernelEntry<T>> ConvKernels();  // conv1d, conv2d
template <>
std::vector<KernelEntry<float>> ConvKernels();
template <>
std::vector<KernelEntry<double>> ConvKernels();
template <typename T>
std::vector<KernelEntry<T>> ConvTransposeKernels();  // convtranspose2d
template <typename T>
std::vector<KernelEntry<T>> PoolKernels();
template <typename T>
std::vector<KernelEntry<T>> BatchNormKernels();
template <typename T>
std::vector<KernelEntry<T>> NormKernels();  // layer_norm, rms_norm, group_norm, ...
template <typename T>
std::vector<KernelEntry<T>> SoftmaxKernels();  // softmax, dropout
template <typename T>
std::vector<KernelEntry<T>> MoveKernels();  // permute, transpose, cat, mean

// The usual `create` of an entry.
template <typename T, typename K>
KernelOr<T> Make(const KernelSpec& spec) {
  return std::make_unique<K>(spec);
}

}  // namespace mase

#endif  // MASE_KERNEL_KERNELS_H_
