#define MASE_DENSE_LANES 4
#include "mase/kernel/dense/kernels_impl.h"
