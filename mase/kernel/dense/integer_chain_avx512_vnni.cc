#define MASE_DENSE_LANES 16
#define MASE_DENSE_VNNI
#include "mase/kernel/dense/integer_chain_kernels.h"
