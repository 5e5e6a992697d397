// Files that ship with the binaries: test data, bundled plugins.
#ifndef MASE_BASE_RUNFILES_H_
#define MASE_BASE_RUNFILES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// The absolute path of a file or folder of the workspace, for example
// "testdata/jsc/jsc_openml_test1000.h5", in the running binary's runfiles
// (found through TEST_SRCDIR or RUNFILES_DIR, beside the executable, or, in a
// Python package, beside the shared object that this is linked into). Where
// there are no runfiles the path is returned as it is, so that opening it
// gives the error. Does not check that the file exists.
std::string Runfile(absl::string_view path);

// Resolves a path that a person typed: relative ones against
// $BUILD_WORKING_DIRECTORY (set by `bazel run`), else the working directory;
// where runs are reproducible (recorded.h) they stay relative. A
// "~" that is the whole path, or its first folder, is the home folder ($HOME):
// shells leave it alone behind a "=" and in files. Empty stays empty.
// InvalidArgument for "~NAME", another user's home (a file of such a name is
// "./~NAME"), and for "~" where $HOME is not set.
absl::StatusOr<std::string> UserPath(absl::string_view path);

// The "~" part of UserPath alone: other paths are returned as they are.
absl::StatusOr<std::string> ExpandHome(absl::string_view path);

}  // namespace mase

#endif  // MASE_BASE_RUNFILES_H_
