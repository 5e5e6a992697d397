#include "python/binding/errors.h"

#include <string>

#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "pybind11/pybind11.h"

namespace mase {

namespace py = pybind11;

std::string MessageText(const absl::Status& status) { return PrintableMessage(status.message()); }

std::string CodeName(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

void Raise(const absl::Status& status) {
  const py::object error =
      py::module_::import("mase.errors")
          .attr("error_of")(CodeName(status), ExitCode(status), MessageText(status));
  PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
  throw py::error_already_set();
}

}  // namespace mase
