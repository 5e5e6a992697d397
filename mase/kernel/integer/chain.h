// Chains of small linear layers on codes as one kernel, with their residual sums, from float32 rows
// to float32 results (kernel/dense/integer_chain.h): what the steps compute one by one, to the bit,
// without leaving the cache. The fuse stage makes it.
#ifndef MASE_KERNEL_INTEGER_CHAIN_H_
#define MASE_KERNEL_INTEGER_CHAIN_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mase/kernel/chain_parts.h"
#include "mase/kernel/kernel.h"

namespace mase {

inline constexpr absl::string_view kIntegerChain = "integer_chain";

// One op of the chain, in its order: "linear", "batch_norm1d", "relu", "add", "encode", "decode",
// "save", "recall".
struct IntegerChainPart {
  FusedOp op;
  int step = 0;       // Which of the steps that the chain takes the place of.
  std::string label;  // Of the layer that it belongs to, "fc1 (linear)", for messages.
  // Of a linear: the codes that it reads. Of an add: those that the saved numbers are rounded to
  // first, if they are.
  std::optional<Codes> src;
  WeightCodes weight;  // Of a linear.
  int slot = -1;       // Of a save, a recall and an add (chain_parts.h).
};

// Whether a linear layer of this size is better in a chain than by itself, and its codes are ones
// that the chain rounds to.
bool ServesIntegerChain(const IntegerChainPart& linear);
// Whether the chain rounds to these codes: ties to even.
bool ServesIntegerChain(const Codes& codes);

// The kernel of a chain, which tells of its layers, too. Its errors begin with the label of the one
// that they are about, where there are several.
class IntegerChainKernel : public Kernel {
 public:
  // Of each step that the chain takes the place of, in their order, after Prepare.
  virtual std::vector<KernelFacts> StepFacts() const = 0;
};

// The kernel for `rows` rows of `features`. Parts are served ones; the first linear follows an
// encode to the codes that it reads, or numbers that it rounds to them, as each other does.
std::unique_ptr<IntegerChainKernel> MakeIntegerChain(int64_t rows, int64_t features,
                                                     std::vector<IntegerChainPart> parts);

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_CHAIN_H_
