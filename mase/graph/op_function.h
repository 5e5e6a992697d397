// The arithmetic of an op that a plugin brings, forward and backward, on dense row-major arrays.
//
//   struct Squareplus {  // (x + sqrt(x^2 + b)) / 2
//     template <typename T>
//     static absl::Status Forward(const OpCall<T>& call) {
//       const T b = static_cast<T>(call.attributes.Float("b"));
//       const OpArray<const T>& x = call.inputs[0];
//       for (int64_t i = 0; i < x.elements(); ++i) {
//         call.result[i] = (x[i] + std::sqrt(x[i] * x[i] + b)) / 2;
//       }
//       return absl::OkStatus();
//     }
//     template <typename T>
//     static absl::Status Backward(const OpGradients<T>& call);
//   };
//   registrar.AddOp<Squareplus>({.name = "squareplus", ...});   // op_schema.h
//
// Both are templates over the element type: float, and double for checking. They may be called
// from several threads at a time, for different arrays, and must give the same bits for the same
// ones. An op without Backward cannot be trained through.
#ifndef MASE_GRAPH_OP_FUNCTION_H_
#define MASE_GRAPH_OP_FUNCTION_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "mase/graph/attribute.h"
#include "mase/graph/op_schema.h"
#include "mase/tensor/shape.h"

namespace mase {

// An array of numbers that belongs to the caller.
template <typename T>
struct OpArray {
  T* data = nullptr;  // Null: not wanted, or not there.
  Shape shape;

  int64_t elements() const { return shape.elements(); }
  T& operator[](int64_t i) const { return data[i]; }
};

template <typename T>
struct OpCall {
  const Attributes& attributes;
  bool training = false;
  std::vector<OpArray<const T>> inputs;   // The node's, in order.
  std::vector<OpArray<const T>> tensors;  // The module's, in the order of its ParameterRule.
  OpArray<T> result;                      // To be overwritten. Shares no memory with the others.
};

// `result` is what Forward wrote, and only to be read.
template <typename T>
struct OpGradients : OpCall<T> {
  OpArray<const T> diff_result;          // The loss's gradient by the result.
  std::vector<OpArray<T>> diff_inputs;   // To be overwritten; null where it is not wanted.
  std::vector<OpArray<T>> diff_tensors;  // Likewise.
};

// An op with its arithmetic: what a registrar hands to the tables of ops and of kernels.
struct OpDefinition {
  OpSchema schema;
  absl::Status (*forward)(const OpCall<float>&) = nullptr;
  absl::Status (*backward)(const OpGradients<float>&) = nullptr;  // Null: no gradient.
  absl::Status (*forward64)(const OpCall<double>&) = nullptr;
  absl::Status (*backward64)(const OpGradients<double>&) = nullptr;
};

// That of a struct as above.
template <typename Op>
OpDefinition DefineOp(OpSchema schema) {
  OpDefinition op = {.schema = std::move(schema),
                     .forward = &Op::template Forward<float>,
                     .forward64 = &Op::template Forward<double>};
  if constexpr (requires { &Op::template Backward<float>; }) {
    op.backward = &Op::template Backward<float>;
    op.backward64 = &Op::template Backward<double>;
  }
  return op;
}

}  // namespace mase

#endif  // MASE_GRAPH_OP_FUNCTION_H_
