#include "mase/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iterator>
#include <mutex>

#include "mase/base/last_words.h"

namespace mase {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};  // Hangup: the terminal went.

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // Else no signal handler may write it.

std::mutex mutex;
bool caught = false;
struct sigaction before[std::size(kSignals)];

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
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] == number) sigaction(number, &before[i], nullptr);
  }
  raise(number);
}

bool IsIgnored(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

const std::atomic<bool>& CatchInterrupt() {
  // Once: handlers that are set again would take themselves for those before.
  const std::lock_guard<std::mutex> lock(mutex);
  if (caught) return interrupted;
  caught = true;
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], nullptr, &before[i]);
    // Under nohup a hangup is ignored, and stays so.
    if (kSignals[i] != SIGHUP || !IsIgnored(before[i])) sigaction(kSignals[i], &action, nullptr);
  }
  return interrupted;
}

void Interrupt() { interrupted = true; }

void EndCatchingInterrupt() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (caught) {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before[i], nullptr);
  }
  caught = false;
  interrupted = false;
}

}  // namespace mase
