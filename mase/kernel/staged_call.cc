#include "mase/kernel/staged_call.h"

#include <utility>

namespace mase {
namespace {

// On cache lines of their own.
int64_t LinesOf(const dnnl::memory::desc& desc) { return (FloatsOf(desc) + 15) / 16 * 16; }

OneDnnCall Call(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
                const std::vector<StagedCall::Operand>& operands) {
  std::vector<std::pair<int, dnnl::memory::desc>> arguments = {{DNNL_ARG_SCRATCHPAD, scratchpad}};
  for (const StagedCall::Operand& operand : operands) {
    arguments.push_back({operand.argument, operand.wanted});
  }
  return OneDnnCall(primitive, arguments);
}

}  // namespace

StagedCall::StagedCall(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
                       const std::vector<Operand>& operands)
    : call_(Call(primitive, scratchpad, operands)), scratch_floats_(LinesOf(scratchpad)) {
  for (size_t i = 0; i < operands.size(); ++i) {
    const Operand& operand = operands[i];
    if (!operand.lies.has_value() || *operand.lies == operand.wanted) continue;
    stages_.push_back({i, operand.written, scratch_floats_,
                       operand.written ? OneDnnCall::Reorder(operand.wanted, *operand.lies)
                                       : OneDnnCall::Reorder(*operand.lies, operand.wanted)});
    scratch_floats_ += LinesOf(operand.wanted);
  }
}

void StagedCall::Run(std::initializer_list<const void*> pointers, float* scratch) {
  pointers_.assign({scratch});
  pointers_.insert(pointers_.end(), pointers);
  for (Stage& stage : stages_) {
    float* const staged = scratch + stage.offset;
    if (!stage.written) stage.reorder.Run({pointers_[1 + stage.operand], staged});
    pointers_[1 + stage.operand] = staged;
  }
  call_.Run(pointers_);
  for (Stage& stage : stages_) {
    if (stage.written) {
      stage.reorder.Run({scratch + stage.offset, pointers.begin()[stage.operand]});
    }
  }
}

}  // namespace mase
