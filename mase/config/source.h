// Where a value came from.
#ifndef MASE_CONFIG_SOURCE_H_
#define MASE_CONFIG_SOURCE_H_

#include <string>

namespace mase {

// Later levels win, wherever they stand on the command line.
enum class Level { kDefault, kFile, kSet, kFlag };
inline constexpr int kLevelCount = 4;

// One place that values come from: a file, one --set, one flag, the defaults.
struct Source {
  Level level = Level::kDefault;
  std::string name;    // In messages: the file as given, "--set a=1", "--batch-size".
  std::string folder;  // That relative paths are completed with; "": the caller's.
};

}  // namespace mase

#endif  // MASE_CONFIG_SOURCE_H_
