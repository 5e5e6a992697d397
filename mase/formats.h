// `formats`: what number formats there are, what they do to a tensor, at what cost.
#ifndef MASE_FORMATS_H_
#define MASE_FORMATS_H_

#include <string>
#include <vector>

namespace mase {

// The whole action, words[0] being its name; the exit code (base/status.h).
int RunFormats(std::vector<std::string> words);

}  // namespace mase

#endif  // MASE_FORMATS_H_
