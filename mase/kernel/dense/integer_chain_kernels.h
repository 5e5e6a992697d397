// The functions of integer_chain.h for MASE_DENSE_LANES, and VNNI if MASE_DENSE_VNNI; the whole of
// each integer_chain_*.cc.
#include "mase/kernel/dense/integer_chain_block.h"
#include "mase/kernel/dense/integer_chain_row.h"

namespace mase::MASE_DENSE_NAMESPACE {

// Measured on a net of 16, 64, 32, 32 and 5 features.
#ifdef MASE_DENSE_VNNI
constexpr bool kHasBytes = true;
constexpr int kFewRows = 5;
#else
constexpr bool kHasBytes = false;
constexpr int kFewRows = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;
#endif

extern const IntegerChainKernels kIntegerChainKernels = {
    .has_bytes = kHasBytes, .lanes = kLanes, .few_rows = kFewRows, .row = Row, .rows = Rows};

}  // namespace mase::MASE_DENSE_NAMESPACE
