// The parts of the table of kernels, one function a file. Only kernel.cc and the files that
// implement kernels include this.
#ifndef MASE_KERNEL_KERNELS_H_
#define MASE_KERNEL_KERNELS_H_

#include <memory>
#include <vector>

#include "mase/kernel/kernel.h"
#include "mase/tensor/tensor.h"

namespace mase {

// An entry of the table: an op with results of one element type.
struct KernelEntry {
  absl::string_view op;
  DType dtype;
  KernelOr (*create)(const KernelSpec& spec);
};

std::vector<KernelEntry> UnaryKernels();          // relu, gelu, ...
std::vector<KernelEntry> BinaryKernels();         // add, mul, pow, ...
std::vector<KernelEntry> LinearKernels();         // linear, matmul, bmm
std::vector<KernelEntry> ConvKernels();           // conv1d, conv2d
std::vector<KernelEntry> ConvTransposeKernels();  // convtranspose2d
std::vector<KernelEntry> PoolKernels();
std::vector<KernelEntry> BatchNormKernels();
std::vector<KernelEntry> NormKernels();     // layer_norm, rms_norm, group_norm, ...
std::vector<KernelEntry> SoftmaxKernels();  // softmax
std::vector<KernelEntry> DropoutKernels();
std::vector<KernelEntry> MoveKernels();                // permute, transpose, cat
std::vector<KernelEntry> ReduceKernels();              // mean, sum, amax, amin
std::vector<KernelEntry> PickElementsKernels();        // slice, pad, embedding, where, ...
std::vector<KernelEntry> DenseChainKernels();          // dense_chain, dense_chain_loss
std::vector<KernelEntry> LossKernels();                // softmax_cross_entropy
std::vector<KernelEntry> PickRowsKernels();            // pick_rows
std::vector<KernelEntry> IntegerProductKernels();      // integer_linear, integer_conv, ...
std::vector<KernelEntry> IntegerElementwiseKernels();  // convert, integer_arithmetic, integer_pool

// Of ops that plugins brought (plugin_op.h).
bool HasPluginKernel(absl::string_view op, DType dtype);
KernelOr CreatePluginKernel(absl::string_view op, const KernelSpec& spec);  // It has one.

// The error of batch statistics over one value a channel.
absl::Status OneValuePerChannel(const Shape& input);

// The usual `create` of an entry.
template <typename K>
KernelOr Make(const KernelSpec& spec) {
  return std::make_unique<K>(spec);
}

// The entry of a kernel whose results are T.
template <typename T, typename K>
KernelEntry Entry(absl::string_view op) {
  return {op, DTypeOf<T>::value, Make<K>};
}

// What `entries`, a lambda template over the element type, lists for float and for double.
template <typename Entries>
std::vector<KernelEntry> ForFloats(const Entries& entries) {
  std::vector<KernelEntry> all = entries.template operator()<float>();
  for (const KernelEntry& entry : entries.template operator()<double>()) all.push_back(entry);
  return all;
}

}  // namespace mase

#endif  // MASE_KERNEL_KERNELS_H_
