#define MASE_DENSE_LANES 8
#include "mase/kernel/dense/kernels_impl.h"
