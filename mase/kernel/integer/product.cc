#include "mase/kernel/integer/product.h"

namespace mase {

std::vector<KernelEntry> IntegerProductKernels() {
  std::vector<KernelEntry> entries;
  for (const DType dtype : {DType::kFloat32, DType::kUInt8, DType::kInt32}) {
    entries.push_back({"integer_linear", dtype, MakeIntegerLinear});
    entries.push_back({"integer_conv", dtype, MakeIntegerConv});
    entries.push_back({"integer_matmul", dtype, MakeIntegerMatmul});
  }
  return entries;
}

}  // namespace mase
