// How nets are computed, by name.
#ifndef PYTHON_BINDING_EXECUTION_H_
#define PYTHON_BINDING_EXECUTION_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/suggest.h"
#include "mase/exec/execution_report.h"
#include "python/binding/errors.h"

namespace mase {

// "float", "simulated" or "integer"; ValueError for another word.
inline Execution ExecutionOf(const std::string& name) {
  std::vector<std::string> names;
  for (const Execution execution :
       {Execution::kFloat, Execution::kSimulated, Execution::kInteger}) {
    if (name == ExecutionName(execution)) return execution;
    names.push_back(ExecutionName(execution));
  }
  Raise(absl::InvalidArgumentError(absl::StrCat("no execution '", name, "'", Suggest(name, names),
                                                "; want float, simulated or integer")));
}

}  // namespace mase

#endif  // PYTHON_BINDING_EXECUTION_H_
