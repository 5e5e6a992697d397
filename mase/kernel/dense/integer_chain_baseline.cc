#define MASE_DENSE_LANES 4
#include "mase/kernel/dense/integer_chain_kernels.h"
