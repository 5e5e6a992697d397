// Arrays of Python as tensors and back, without copies where their memory allows it.
#ifndef PYTHON_BINDING_ARRAYS_H_
#define PYTHON_BINDING_ARRAYS_H_

#include "mase/tensor/tensor.h"
#include "pybind11/numpy.h"
#include "pybind11/pybind11.h"

namespace mase {

// Any array: NumPy's, one with __dlpack__ on the CPU, a buffer, nested lists. The tensor is the
// array's own memory, and keeps it alive, if that is row-major, aligned and in the machine's byte
// order; else a copy. float16 becomes float32. ValueError for element types that no tensor has.
// Whoever keeps the tensor beyond the call copies it: the caller may write to the array.
Tensor TensorOf(const pybind11::object& array);

// The same as float32, rounded if need be: float64 as NumPy makes it, whole numbers.
Tensor Float32Of(const pybind11::object& array);

// A NumPy array of the tensor's own memory, which it keeps alive. bfloat16, which NumPy lacks,
// becomes float32. Nobody may write to it if the tensor is shared, as those of a net are.
pybind11::array ArrayOf(const Tensor& tensor);

// The same of a tensor that was made for the caller, who may write to it.
pybind11::array OwnArray(Tensor&& tensor);

}  // namespace mase

#endif  // PYTHON_BINDING_ARRAYS_H_
