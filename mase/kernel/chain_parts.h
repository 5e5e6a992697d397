// Parts of chains of layers as one kernel (dense_chain.h, integer/chain.h) that are no ops of the
// graph: numbers are put into a slot, or what follows reads those of a slot. Slot 0 is the chain's
// input; each other one is saved before it is read, perhaps several times. An "add" in a chain adds
// a slot's numbers to those of the part before it. A FusedOp has the slot as an attribute.
#ifndef MASE_KERNEL_CHAIN_PARTS_H_
#define MASE_KERNEL_CHAIN_PARTS_H_

#include "absl/strings/string_view.h"

namespace mase {

inline constexpr absl::string_view kSave = "save";
inline constexpr absl::string_view kRecall = "recall";
inline constexpr absl::string_view kSlot = "slot";  // The attribute.

}  // namespace mase

#endif  // MASE_KERNEL_CHAIN_PARTS_H_
