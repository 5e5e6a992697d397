// The parts of the module mase._mase, each a file.
#ifndef PYTHON_BINDING_MODULE_H_
#define PYTHON_BINDING_MODULE_H_

#include "pybind11/pybind11.h"

namespace mase {

void DefineFormats(pybind11::module_& module);
void DefineGraph(pybind11::module_& module);
void DefinePredictor(pybind11::module_& module);
void DefineActions(pybind11::module_& module);

}  // namespace mase

#endif  // PYTHON_BINDING_MODULE_H_
