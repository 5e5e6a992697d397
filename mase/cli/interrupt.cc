#include "mase/cli/interrupt.h"

#include <csignal>

namespace mase {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // Else no signal handler may write it.

}  // namespace

const std::atomic<bool>& CatchInterrupt() {
  // Once: a handler that is set again would catch the second signal, too.
  static const bool caught = [] {
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = SA_RESETHAND | SA_RESTART;
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
