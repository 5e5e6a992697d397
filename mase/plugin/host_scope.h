// Plugins in a program that is itself a shared object, as Python's extension modules are.
#ifndef MASE_PLUGIN_HOST_SCOPE_H_
#define MASE_PLUGIN_HOST_SCOPE_H_

#include <string>

namespace mase {

// dlopen(path, RTLD_NOW | RTLD_LOCAL), so that the library finds the symbols of this code besides
// its own: null and dlerror() as there. `path` is absolute.
//
// A library sees the symbols of the executable, and so a plugin those of `ch`. Where this code was
// loaded by somebody else, locally, it does not; and making us and all that we are linked with
// global would put our protobuf and HDF5 in front of those that other modules brought along. So the
// plugin is opened as a dependency, behind us, of an empty library that is made for it in memory:
// libraries that are opened together look up each other.
void* OpenInHostScope(const std::string& path);

}  // namespace mase

#endif  // MASE_PLUGIN_HOST_SCOPE_H_
