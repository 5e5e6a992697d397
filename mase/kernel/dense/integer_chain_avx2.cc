#define MASE_DENSE_LANES 8
#include "mase/kernel/dense/integer_chain_kernels.h"
