// Which oneDNN this program runs with.
#ifndef MASE_KERNEL_ONEDNN_VERSION_H_
#define MASE_KERNEL_ONEDNN_VERSION_H_

#include <string>

namespace mase {

// Of the library that is loaded, which may be newer than the one compiled with: "2.7.2".
std::string OneDnnVersion();

}  // namespace mase

#endif  // MASE_KERNEL_ONEDNN_VERSION_H_
