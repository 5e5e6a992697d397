// What this program is made of, for reports and --version.
#ifndef MASE_BASE_VERSION_H_
#define MASE_BASE_VERSION_H_

#include <map>
#include <string>

namespace mase {

// Of this tool: "0.1.0".
const char* Version();

// Name to version: "mase", the compiler, and the libraries it was compiled with.
std::map<std::string, std::string> Versions();

}  // namespace mase

#endif  // MASE_BASE_VERSION_H_
