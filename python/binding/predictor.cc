#include "mase/predict/predictor.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "mase/exec/execution_report.h"
#include "mase/graph/graph.h"
#include "pybind11/stl.h"
#include "pybind11/stl/filesystem.h"
#include "python/binding/arrays.h"
#include "python/binding/errors.h"
#include "python/binding/execution.h"
#include "python/binding/module.h"

namespace mase {
namespace {

namespace py = pybind11;

py::array Predict(const Predictor& predictor, const py::object& rows) {
  const Tensor in = Float32Of(rows);
  const bool one = in.shape().rank() == 1;
  const int64_t count = in.shape().rank() < 2 ? 1 : in.shape()[0];
  if (in.shape().rank() == 0 || in.elements() != count * predictor.inputs()) {
    Raise(absl::InvalidArgumentError(absl::StrCat("an array of shape ", in.shape().ToString(),
                                                  " is no rows of ", predictor.inputs(),
                                                  " numbers")));
  }
  Tensor out(DType::kFloat32,
             one ? Shape({predictor.outputs()}) : Shape({count, predictor.outputs()}));
  absl::Status status;
  {
    const py::gil_scoped_release unlocked;
    status = predictor.Predict(in.data<float>(), out.mutable_data<float>());
  }
  Check(status);
  return OwnArray(std::move(out));
}

}  // namespace

void DefinePredictor(py::module_& module) {
  py::class_<Predictor>(module, "Predictor")
      .def(py::init([](const std::filesystem::path& path, const std::string& execution,
                       bool apply_recipe) {
             return ValueOf(Predictor::Load(path.string(), {.execution = ExecutionOf(execution),
                                                            .apply_recipe = apply_recipe}));
           }),
           py::arg("net"), py::arg("execution") = "integer", py::arg("apply_recipe") = true)
      .def(py::init([](const Graph& graph, const std::string& execution) {
             return ValueOf(
                 Predictor::Create(graph, nullptr, {.execution = ExecutionOf(execution)}));
           }),
           py::arg("net"), py::arg("execution") = "integer")
      .def_property_readonly("inputs", &Predictor::inputs)
      .def_property_readonly("outputs", &Predictor::outputs)
      .def_property_readonly("feature_names", &Predictor::feature_names)
      .def_property_readonly("class_names", &Predictor::class_names)
      .def("predict", &Predict, py::arg("rows"))
      .def("__call__", &Predict, py::arg("rows"));
}

}  // namespace mase
