// Runs what is compared on each instruction set:
//
//   OnEveryIsa([&] { EXPECT_EQ(Fused(x), Alone(x)); });
#ifndef MASE_TESTING_NUMERICS_EVERY_ISA_H_
#define MASE_TESTING_NUMERICS_EVERY_ISA_H_

#include "gtest/gtest.h"
#include "mase/base/isa.h"

namespace mase {

// Clang does not know "#pragma GCC target" and compiles all kernels for the best set (.bazelrc):
// loops then fuse products with the baseline, too, where what they are compared with does not.
#ifdef __clang__
inline constexpr bool kHasBaseline = false;
#else
inline constexpr bool kHasBaseline = true;
#endif

// Calls `body` with each instruction set that machine and build have, which a failure names; then
// the one of before holds again.
template <typename Body>
void OnEveryIsa(const Body& body) {
  const Isa before = CurrentIsa();
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (isa == Isa::kBaseline && !kHasBaseline) continue;
    if (!SetIsaForTest(isa)) continue;
    SCOPED_TRACE(IsaName(isa));
    body();
  }
  SetIsaForTest(before);
}

}  // namespace mase

#endif  // MASE_TESTING_NUMERICS_EVERY_ISA_H_
