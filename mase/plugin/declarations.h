// What of a C++ source file its meaning depends on.
#ifndef MASE_PLUGIN_DECLARATIONS_H_
#define MASE_PLUGIN_DECLARATIONS_H_

#include <string>

namespace mase {

// The text without comments, one space where there were blanks between two words and none
// elsewhere, but in literals; directives of the preprocessor end their lines. Equal for files that
// differ in comments, blank lines and layout alone. Two of its lines may be one in the source: it
// is for hashing, not for compilers. Plain C++14 without libraries, as tools of a build are
// compiled.
std::string DeclarationsOf(const std::string& source);

}  // namespace mase

#endif  // MASE_PLUGIN_DECLARATIONS_H_
