// A terminal of a width, for tests of what is printed to one.
//
//   const PseudoTerminal terminal(100);
//   if (!terminal.exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
//   dup2(terminal.file(), STDERR_FILENO);
#ifndef MASE_TESTING_PSEUDO_TERMINAL_H_
#define MASE_TESTING_PSEUDO_TERMINAL_H_

#include <pty.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace mase {

class PseudoTerminal {
 public:
  explicit PseudoTerminal(uint16_t columns) {
    winsize size = {};
    size.ws_row = 50;
    size.ws_col = columns;
    exists_ = openpty(&shown_, &file_, nullptr, nullptr, &size) == 0;
  }
  ~PseudoTerminal() {
    if (!exists_) return;
    close(shown_);
    close(file_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  // False in bare containers that have none.
  bool exists() const { return exists_; }
  // What a program writes to.
  int file() const { return file_; }
  // What was written since the last call, of which there must be some: at most 4,096 bytes.
  std::string Shown() const {
    char bytes[4096];
    const ssize_t count = read(shown_, bytes, sizeof(bytes));
    return count > 0 ? std::string(bytes, static_cast<size_t>(count)) : "";
  }

 private:
  bool exists_ = false;
  int shown_ = -1, file_ = -1;
};

}  // namespace mase

#endif  // MASE_TESTING_PSEUDO_TERMINAL_H_
