#include "mase/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "mase/base/last_words.h"

namespace mase {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // Else no signal handler may write it.

void Say(const char* text) {
  const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
}

void OnInterrupt(int number) {
  const char* running = WatchedNow();
  if (!interrupted.exchange(true)) {
    // A pass may not look whether it is to end.
    if (running != nullptr) Say("\nwaiting for "), Say(running), Say("; again ends it at once\n");
    return;
  }
  LeaveLastWords("was interrupted");
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

const std::atomic<bool>& CatchInterrupt() {
  // Once: a handler that is set again would catch the second signal, too.
  static const bool caught = [] {
    struct sigaction action = {};
    action.sa_handler = OnInterrupt;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // The terminal went. Under nohup the signal is ignored, and stays so.
    struct sigaction hangup = {};
    sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
    return true;
  }();
  static_cast<void>(caught);
  return interrupted;
}

}  // namespace mase
