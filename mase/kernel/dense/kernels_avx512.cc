#define MASE_DENSE_LANES 16
#include "mase/kernel/dense/kernels_impl.h"
