#ifndef MASE_KERNEL_STAGED_CALL_H_
#define MASE_KERNEL_STAGED_CALL_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "mase/kernel/onednn.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {

// A primitive of oneDNN, with its scratchpad, that wants operands in other orders than they lie in:
// those are copied into scratch before it, or out of it behind it.
//
//   StagedCall call(primitive, desc.scratchpad_desc(),
//                   {{DNNL_ARG_SRC, desc.src_desc(), as_src_lies},
//                    {DNNL_ARG_WEIGHTS, desc.weights_desc()},
//                    {DNNL_ARG_DST, desc.dst_desc(), as_dst_lies, /*written=*/true}});
//   call.Run({src, weights, dst}, scratch);
class StagedCall {
 public:
  struct Operand {
    int argument;  // DNNL_ARG_SRC and so on.
    dnnl::memory::desc wanted;
    std::optional<dnnl::memory::desc> lies = std::nullopt;  // Where that is not for sure the same.
    bool written = false;                                   // By the primitive, else read.
  };

  // Throws dnnl::error.
  StagedCall(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             const std::vector<Operand>& operands);

  // float32 elements that Run works in: the scratchpad, and a copy of each operand that lies
  // otherwise, all on cache lines of their own.
  int64_t scratch_floats() const { return scratch_floats_; }

  // Pointers in the order of the operands, those at the end perhaps left out; `scratch` has
  // scratch_floats() elements and begins at a cache line. By one thread at a time, which need not
  // be the same one. Throws dnnl::error.
  void Run(std::initializer_list<const void*> pointers, float* scratch);

 private:
  struct Stage {
    size_t operand;
    bool written;
    int64_t offset;  // In scratch.
    OneDnnCall reorder;
  };

  OneDnnCall call_;  // The scratchpad comes first.
  std::vector<Stage> stages_;
  std::vector<const void*> pointers_;
  int64_t scratch_floats_ = 0;
};

}  // namespace mase

#endif  // MASE_KERNEL_STAGED_CALL_H_
