#define MASE_DENSE_LANES 16
#include "mase/kernel/dense/integer_chain_kernels.h"
