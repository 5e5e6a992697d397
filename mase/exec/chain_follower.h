// Finds what of a program can be one kernel: a step and what follows it, over branches and residual
// sums, up to a result that is all that others read of it.
//
//   x -> linear -> relu -> linear -> add -> relu -> linear
//                      \____________/
//
// is one chain: what the add reads of the relu is saved, and added later.
#ifndef MASE_EXEC_CHAIN_FOLLOWER_H_
#define MASE_EXEC_CHAIN_FOLLOWER_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "mase/exec/program.h"

namespace mase {

// What a step can be in a chain.
enum class ChainRole {
  kNone,
  kRounds,   // Numbers to codes: computes nothing by itself, as whoever reads the codes rounds.
  kNumbers,  // Computes numbers, or codes, of numbers.
  kCodes,    // The same of codes.
  kSum,      // An "add" of numbers, or of codes.
};

// A step of a chain that computes something.
struct ChainLink {
  int step = 0;     // Among the program's.
  int read = 0;     // Which of its operands is what the link before it computes, or `recall`.
  int recall = -1;  // The slot from which it reads that instead, if it does.
  int add = -1;     // Of a sum: the slot of the other operand.
  int save = -1;    // The slot to which its result goes, before it is rounded to codes, if any.
};

struct Chain {
  std::vector<int> steps;  // All that become parts of it, in their order.
  std::vector<ChainLink> links;
  // Slot 0 is the chain's input. Each other one is saved before it is read, and once more where
  // none reads it any longer.
  bool saves = false;  // Whether any slot is read.
};

class ChainFollower {
 public:
  // Both outlive this. Values of the program are read by its `steps`, kept by its outputs.
  ChainFollower(const Program& program, const std::vector<Program::Step>& steps);

  // The longest chain that begins with step `first`, which reads one value, and has the roles that
  // `role` gives; without steps where it is none. Steps of `is_part` are others' already. It ends
  // with numbers. `adds_input` is whether a sum may add the chain's input, and what is computed of
  // it before any product or rounding, as it is. All are of matrices, each read under its own
  // shape.
  Chain Follow(int first, const std::vector<bool>& is_part, bool adds_input,
               absl::FunctionRef<ChainRole(const Program::Step&)> role) const;

 private:
  class Walk;

  // The same where of the other steps that read the input those of `readers` may be parts.
  Chain FollowWith(int first, const std::vector<int>& readers, const std::vector<bool>& is_part,
                   bool adds_input, absl::FunctionRef<ChainRole(const Program::Step&)> role) const;

  const Program& program_;
  const std::vector<Program::Step>& steps_;
  std::vector<std::vector<int>> readers_;  // By value: the steps that read it, in their order.
  std::vector<bool> is_kept_;              // By value: is read after the call, too.
};

}  // namespace mase

#endif  // MASE_EXEC_CHAIN_FOLLOWER_H_
