// The parts of the table of kernels, two functions a file: what inference needs, and what training
// does. Only the two files that list them and those that implement kernels include this.
#ifndef MASE_KERNEL_KERNELS_H_
#define MASE_KERNEL_KERNELS_H_

#include <initializer_list>
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

// What inference needs, in float32: kernel.cc has the table of these.
std::vector<KernelEntry> UnaryKernels();          // relu, gelu, ...
std::vector<KernelEntry> BinaryKernels();         // add, mul, pow, ...
std::vector<KernelEntry> LinearKernels();         // linear, matmul, bmm
std::vector<KernelEntry> ConvKernels();           // conv1d, conv2d
std::vector<KernelEntry> ConvTransposeKernels();  // convtranspose2d
std::vector<KernelEntry> PoolKernels();
std::vector<KernelEntry> BatchNormKernels();
std::vector<KernelEntry> NormKernels();                // layer_norm, rms_norm, group_norm, ...
std::vector<KernelEntry> SoftmaxKernels();             // softmax
std::vector<KernelEntry> MoveKernels();                // permute, transpose, cat
std::vector<KernelEntry> ReduceKernels();              // mean, sum, amax, amin
std::vector<KernelEntry> PickElementsKernels();        // slice, pad, embedding, where, ...
std::vector<KernelEntry> DenseChainKernels();          // dense_chain
std::vector<KernelEntry> IntegerProductKernels();      // integer_linear, integer_conv, ...
std::vector<KernelEntry> IntegerElementwiseKernels();  // convert, integer_arithmetic, integer_pool

// What training and checking need: the same ops with their gradients, in float32 and float64, and
// ops of training alone. In the table of programs that link //mase/kernel:training (training.cc).
std::vector<KernelEntry> UnaryTrainingKernels();
std::vector<KernelEntry> BinaryTrainingKernels();
std::vector<KernelEntry> LinearTrainingKernels();
std::vector<KernelEntry> ConvTrainingKernels();
std::vector<KernelEntry> ConvTransposeTrainingKernels();
std::vector<KernelEntry> PoolTrainingKernels();
std::vector<KernelEntry> BatchNormTrainingKernels();
std::vector<KernelEntry> NormTrainingKernels();
std::vector<KernelEntry> SoftmaxTrainingKernels();
std::vector<KernelEntry> MoveTrainingKernels();
std::vector<KernelEntry> ReduceTrainingKernels();
std::vector<KernelEntry> PickElementsTrainingKernels();
std::vector<KernelEntry> DenseChainTrainingKernels();  // dense_chain, dense_chain_loss
std::vector<KernelEntry> DropoutTrainingKernels();     // dropout
std::vector<KernelEntry> LossTrainingKernels();        // softmax_cross_entropy
std::vector<KernelEntry> PickRowsTrainingKernels();    // pick_rows

// A part of the table.
using KernelPart = std::vector<KernelEntry> (*)();

// Puts parts into the table, for the time before it is first asked; later entries replace earlier
// ones of the same op and element type. Always true.
bool AddKernels(std::initializer_list<KernelPart> parts);

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

// A kernel class K, which has a member Gradient(const BackwardArgs&), as training needs it. A class
// of its own, so that programs that only predict link K and no gradient.
template <typename K>
class WithGradient final : public K {
 public:
  explicit WithGradient(const KernelSpec& spec) : K(spec) { this->has_backward_ = spec.training; }
  absl::Status Backward(const BackwardArgs& args) override { return this->Gradient(args); }
};
template <typename K>
using Alone = K;

// `entries` lists what one file has of the table: a lambda template over the element type and over
// what is to become of a kernel class.
//
//   constexpr auto kOps = []<typename T, template <typename> class As>() -> ... {
//     return {Entry<T, As<SomeKernel<T>>>("some_op")};
//   };
template <typename Entries>
std::vector<KernelEntry> ForInference(const Entries& entries) {
  return entries.template operator()<float, Alone>();
}
template <typename Entries>
std::vector<KernelEntry> ForTraining(const Entries& entries) {
  std::vector<KernelEntry> all = entries.template operator()<float, WithGradient>();
  for (const KernelEntry& entry : entries.template operator()<double, WithGradient>()) {
    all.push_back(entry);
  }
  return all;
}

}  // namespace mase

#endif  // MASE_KERNEL_KERNELS_H_
