// The stages that make a Program ready to run, in their order; lowering comes before (lower.h).
#ifndef MASE_EXEC_STAGES_H_
#define MASE_EXEC_STAGES_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "mase/exec/program.h"

namespace mase {

// What all of a program's kernels are told.
struct KernelOptions {
  bool bfloat16 = false;    // As KernelSpec::bfloat16; for float32.
  bool folds_norms = true;  // Into the weights of convolutions; see Fuse.
};

// Makes one step of neighbours, where each result is read by the next step alone:
//
//   dense layers                  "dense_chain", in inference and float32, with their branches and
//                                 residual sums, of layers with a record those whose sums float32
//                                 holds exactly; in training a net that is a chain of nothing else,
//                                 and with its loss then "dense_chain_loss" (kernel/dense_chain.h)
//   batch_norm*d, relu            "batch_norm_relu"
//   linear, relu                  "linear_relu", in inference
//   conv*d, batch_norm*d[, relu]  "conv_batch_norm", in inference and float32: the running
//                                 statistics are scaled into the weights, which changes rounding;
//                                 so not where a record rounds operands
void Fuse(const KernelOptions& options, Program& program);

// Then, in inference: makes one step, "integer_chain", of a "convert" of rows to codes and small
// "integer_linear"s behind it, with their branches and residual sums, up to numbers again
// (kernel/integer/chain.h). The step brings its kernel.
void FuseIntegerChains(Program& program);

// Makes the kernels, and puts "reorder" steps where a kernel wants a value in another layout than
// its maker leaves it in; a tensor is converted once for all its readers. Results, kept values and
// what is read under another shape are plain. Errors name the step.
absl::Status ChooseLayouts(const KernelOptions& options, Program& program);

// Follows gradients from the outputs back to the trained tensors: Program::seeds, and of each step
// what it computes. A bias that only feeds a batch norm has no gradient: its true value is zero.
void PlanBackward(Program& program);

// Where the program's memory lies, as offsets in bytes into one block; kNowhere for what there is
// not. Things that are not needed at the same time share memory.
struct Memory {
  static constexpr int64_t kNowhere = -1;

  struct OfStep {
    int64_t prepared = kNowhere, workspace = kNowhere, scratch = kNowhere;
    int64_t backward_scratch = kNowhere;
    // Where a gradient that adds is written first; by operand.
    std::vector<int64_t> src_temporaries, tensor_temporaries;
  };

  int64_t bytes = 0;
  std::vector<int64_t> values, gradients;  // By value, where they are the program's own.
  std::vector<OfStep> prepare, steps;
};

Memory PlaceMemory(const Program& program);

}  // namespace mase

#endif  // MASE_EXEC_STAGES_H_
