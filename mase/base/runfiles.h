// Files that ship with the binaries: test data, bundled plugins.
#ifndef MASE_BASE_RUNFILES_H_
#define MASE_BASE_RUNFILES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace mase {

// The absolute path of a file or folder of the workspace, for example
// "testdata/jsc/jsc_openml_test1000.h5", in the running binary's runfiles
// (found beside the executable, or through TEST_SRCDIR or RUNFILES_DIR). Where
// there are no runfiles the path is returned as it is, so that opening it
// gives the error. Does not check that the file exists.
std::string Runfile(absl::string_view path);

// Resolves a path that a person typed: relative ones against
// $BUILD_WORKING_DIRECTORY (set by `bazel run`), else the working directory.
std::string UserPath(absl::string_view path);

}  // namespace mase

#endif  // MASE_BASE_RUNFILES_H_
