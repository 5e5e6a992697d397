// What every op computes, as plain loops in double: the oracle of the kernels' tests. Written from
// the ops' definitions, sharing nothing with mase/kernel; slow.
#ifndef MASE_TESTING_NUMERICS_REFERENCE_KERNELS_H_
#define MASE_TESTING_NUMERICS_REFERENCE_KERNELS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/graph/attribute.h"
#include "mase/tensor/shape.h"

namespace mase {

struct Array {
  Shape shape;
  std::vector<double> values;  // Row-major.
};

struct NamedArray {
  std::string name;  // "weight"
  Array array;
};

// The op's result, of shape `dst`. In training mode batch norms use the batch's statistics;
// dropout is not covered.
Array ReferenceForward(absl::string_view op, const Attributes& attributes,
                       const std::vector<Array>& inputs, const std::vector<NamedArray>& tensors,
                       const Shape& dst, bool training);

}  // namespace mase

#endif  // MASE_TESTING_NUMERICS_REFERENCE_KERNELS_H_
