#include "mase/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iterator>
#include <mutex>

#include "mase/base/last_words.h"
#include "mase/base/temporary_files.h"

namespace mase {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};  // Hangup: the terminal went.

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // Else no signal handler may write it.

std::mutex mutex;
bool caught = false;
struct sigaction before[std::size(kSignals)];
// What the signals did when the program began.
struct sigaction at_first[std::size(kSignals)];

void Say(const char* text) {
  const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
}

// Does what the signal did before.
void PassOn(int number, const struct sigaction (&actions)[std::size(kSignals)]) {
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] == number) sigaction(number, &actions[i], nullptr);
  }
  raise(number);
}

void OnEnd(int number) {
  RemoveTemporaryFiles();
  PassOn(number, at_first);
}

void OnInterrupt(int number) {
  const char* running = WatchedNow();
  if (!interrupted.exchange(true)) {
    // A pass may not look whether it is to end.
    if (running != nullptr) Say("\nwaiting for "), Say(running), Say("; again ends it at once\n");
    return;
  }
  LeaveLastWords("was interrupted");
  PassOn(number, before);
}

bool IsIgnored(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

void SetHandler(void (*handler)(int), struct sigaction (&actions)[std::size(kSignals)]) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], nullptr, &actions[i]);
    // Under nohup a hangup is ignored, and stays so.
    if (kSignals[i] != SIGHUP || !IsIgnored(actions[i])) sigaction(kSignals[i], &action, nullptr);
  }
}

}  // namespace

void LeaveNoTemporaryFiles() { SetHandler(OnEnd, at_first); }

const std::atomic<bool>& CatchInterrupt() {
  // Once: handlers that are set again would take themselves for those before.
  const std::lock_guard<std::mutex> lock(mutex);
  if (caught) return interrupted;
  caught = true;
  SetHandler(OnInterrupt, before);
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
