// What a program leaves behind where code of others ends it: exit, abort, a wrong memory access, a
// stack that overflows, a loop without end.
//
//   LastWords words = {.who = "pass shrink of plugin acme"};
//   words.files.push_back({.path = "run/summary.json", .bytes = ...});
//   {
//     const EndWatch watch(words, /*exit_code=*/1, absl::Seconds(60));
//     plugin_code();
//   }
//
//   stderr:  pass shrink of plugin acme called exit, last at node fc1
//   exit code 1
//
// All is made ready before, as hardly anything may be called from a signal handler. What cannot be
// heard of from inside the process is a kill -9 and a system call made by hand; code that is to be
// held against those runs in a process of its own (mase/plugin/isolation.h).
#ifndef MASE_BASE_LAST_WORDS_H_
#define MASE_BASE_LAST_WORDS_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace mase {

struct LastWords {
  struct File {
    std::string path;  // Its folder is made where it is not there.
    std::string bytes;
    // Where in `bytes` it is put what happened: "crashed: SIGSEGV, ...", letters that JSON can
    // have between quotes. npos: nowhere.
    size_t reason_at = std::string::npos;
    std::string hint;  // For stderr, once it is written.
  };
  std::string who;  // "pass shrink of plugin acme"
  std::vector<File> files;
};

// While it lives, this thread runs code that must not end the program. If it does all the same,
// stderr says so, and the files are written. exit, _exit and quick_exit then end with `exit_code`,
// whatever they were called with; a signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) takes its
// course. Beyond `limit` the program ends in the same way with `exit_code`. Watches of one thread
// nest, those of several are told apart. `words` outlives it.
class EndWatch {
 public:
  EndWatch(const LastWords& words, int exit_code, absl::Duration limit = absl::InfiniteDuration());
  ~EndWatch();
  EndWatch(const EndWatch&) = delete;
  EndWatch& operator=(const EndWatch&) = delete;

  class Implementation;

 private:
  std::unique_ptr<Implementation> implementation_;
};

// Where in the net the code is, for the message: the last node that it spoke of. "" : nowhere.
void SetLastNode(absl::string_view name);

// Where a watch is on: says `what` happened ("was interrupted") and leaves the last words. For
// signal handlers, too.
void LeaveLastWords(const char* what);

// For functions that end the program at once (_exit): where a watch is on, leaves the last words
// and ends with the exit code; else returns.
void EndIfWatched(const char* what);

// The descriptor that gets last words, in place of stderr (2), where stderr is kept in memory that
// ends with the process.
void SetLastWordsOutput(int file);

// Who is being watched, in this thread or else in any; null if nobody. For signal handlers.
const char* WatchedNow();

// The failure of code that ran in a process of its own and ended it: Internal. IsCrash knows it
// again, also when it was annotated.
absl::Status CrashError(absl::string_view message);
bool IsCrash(const absl::Status& status);

}  // namespace mase

#endif  // MASE_BASE_LAST_WORDS_H_
