#include "mase/exec/program.h"

#include <utility>

namespace mase {

int Program::Append(Step step, TensorDesc dst) {
  Value value;
  value.desc = std::move(dst);
  value.prepared = true;
  for (const Operand& src : step.srcs) {
    const Value& read = values[src.value];
    value.prepared &= read.home == Value::Home::kStore || read.prepared;
    value.needs_gradient |= read.needs_gradient;
  }
  for (const int tensor : step.tensors) value.needs_gradient |= values[tensor].needs_gradient;
  const int id = static_cast<int>(values.size());
  step.dst = id;
  (value.prepared ? prepare : steps).push_back(std::move(step));
  values.push_back(std::move(value));
  return id;
}

}  // namespace mase
