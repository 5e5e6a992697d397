// mase._mase: what the package mase (python/mase) is made of. docs/python.md is the users' manual.
//
// Long calls run without the interpreter's lock. Results that ch prints as JSON are JSON here, too.
#include "python/binding/module.h"

#include "mase/base/version.h"

PYBIND11_MODULE(_mase, module) {
  module.attr("__version__") = mase::Version();
  mase::DefineFormats(module);
  mase::DefineGraph(module);
  mase::DefinePredictor(module);
  mase::DefineActions(module);
}
