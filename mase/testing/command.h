// Runs a program of this workspace as a user would, and keeps what it says.
#ifndef MASE_TESTING_COMMAND_H_
#define MASE_TESTING_COMMAND_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace mase {

struct CommandResult {
  int exit_code = -1;  // 128 + signal if a signal ended it.
  std::string out;
  std::string err;
};

// Runs `program` ("mase/transform", in the test's data) in the working directory
// `folder`, which it also takes for the caller's, with these arguments and extra
// "NAME=value" environment entries.
CommandResult RunCommand(absl::string_view program, const std::vector<std::string>& arguments,
                         const std::string& folder,
                         const std::vector<std::string>& environment = {});

// What `train` and `test` print of a test split: the lines that begin "| test_".
std::vector<std::string> TestFigures(absl::string_view out);

// A new empty folder for one test.
std::string NewFolder();

}  // namespace mase

#endif  // MASE_TESTING_COMMAND_H_
