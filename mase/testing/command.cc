#include "mase/testing/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"

namespace mase {
namespace {

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// In the child: only calls that are safe after fork.
[[noreturn]] void Exec(const std::string& folder, const std::string& out, const std::string& err,
                       char* const* argv, char* const* environment) {
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out_fd, STDOUT_FILENO);
  dup2(err_fd, STDERR_FILENO);
  if (chdir(folder.c_str()) == 0) execve(argv[0], argv, environment);
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

CommandResult RunCommand(absl::string_view program, const std::vector<std::string>& arguments,
                         const std::string& folder, const std::vector<std::string>& environment) {
  std::vector<std::string> words = {Runfile(program)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;
  variables.push_back(absl::StrCat("BUILD_WORKING_DIRECTORY=", folder));
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  const std::string out = NewFolder() + "/out", err = NewFolder() + "/err";
  std::vector<char*> argv = Pointers(words), envp = Pointers(variables);
  const pid_t child = fork();
  CHECK_GE(child, 0);
  if (child == 0) Exec(folder, out, err, argv.data(), envp.data());
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Contents(out),
          Contents(err)};
}

std::vector<std::string> TestFigures(absl::string_view out) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    if (absl::StartsWith(line, "| test_")) lines.emplace_back(line);
  }
  return lines;
}

std::string NewFolder() {
  std::string pattern = absl::StrCat(::testing::TempDir(), "/mase-XXXXXX");
  CHECK(mkdtemp(pattern.data()) != nullptr) << pattern;
  return pattern;
}

}  // namespace mase
