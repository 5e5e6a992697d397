#ifndef MASE_FORMAT_ISA_H_
#define MASE_FORMAT_ISA_H_

#include "mase/base/isa.h"

#endif  // MASE_FORMAT_ISA_H_
