#include "mase/pass/pass.h"

namespace mase {

// Out of line, so that the class's type information exists once, in the host, for
// it and all plugins.
Pass::~Pass() = default;

}  // namespace mase
