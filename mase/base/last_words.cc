#include "mase/base/last_words.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "mase/base/coverage.h"
#include "mase/base/standard_output.h"

namespace mase {
namespace {

constexpr char kCrashPayload[] = "mase/crash";

struct Signal {
  int number;
  const char* what;
};
constexpr std::array<Signal, 5> kSignals = {{
    {SIGSEGV, "crashed: SIGSEGV, a memory access that is not allowed"},
    {SIGBUS, "crashed: SIGBUS, memory that is not there"},
    {SIGILL, "crashed: SIGILL, no instruction of this machine"},
    {SIGFPE, "crashed: SIGFPE, a division by zero"},
    {SIGABRT, "crashed: SIGABRT, it called abort or broke a check"},
}};
constexpr char kStackOverflow[] = "crashed: SIGSEGV, its stack overflowed";
constexpr size_t kNearStack = size_t{1} << 20;

constexpr size_t kMaxNodeBytes = 128;
// Another thread reads it where a pass never ends, while this one may write it.
using NodeName = std::atomic<char>[kMaxNodeBytes];
static_assert(std::atomic<char>::is_always_lock_free);
thread_local NodeName last_node;

std::array<struct sigaction, kSignals.size()> former;

void Put(int file, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(file, bytes, size);
    if (count <= 0) return;
    bytes += count, size -= static_cast<size_t>(count);
  }
}
std::atomic<int> output = STDERR_FILENO;
static_assert(std::atomic<int>::is_always_lock_free);  // It is read in signal handlers.

void Put(const char* text) { Put(output, text, std::strlen(text)); }
void Put(const std::string& text) { Put(output, text.data(), text.size()); }

// Where the stack of this thread ends; 0 where nobody knows.
uintptr_t StackEnd() {
  uintptr_t end = 0;
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return end;
  void* low = nullptr;
  size_t size = 0;
  if (::pthread_attr_getstack(&attributes, &low, &size) == 0) {
    end = reinterpret_cast<uintptr_t>(low);
  }
  ::pthread_attr_destroy(&attributes);
  return end;
}

[[noreturn]] void EndAtOnce(int exit_code) {
  WriteCoverage();
  for (;;) ::syscall(SYS_exit_group, exit_code);
}

}  // namespace

class EndWatch::Implementation {
 public:
  Implementation(const LastWords& words, int exit_code, absl::Duration limit)
      : words_(words), exit_code_(exit_code) {
    static const bool installed = Install();
    static_cast<void>(installed);
    for (const LastWords::File& file : words.files) {
      const size_t slash = file.path.rfind('/');
      const std::string folder = slash == std::string::npos ? "." : file.path.substr(0, slash);
      std::vector<std::string>& above = folders_.emplace_back();
      for (size_t at = folder.find('/', 1); at != std::string::npos;
           at = folder.find('/', at + 1)) {
        above.push_back(folder.substr(0, at));
      }
      above.push_back(folder);
      temporaries_.push_back(
          absl::StrCat(folder, "/.", file.path.substr(slash + 1), ".tmp-", ::getpid(), "-end"));
    }
    last_node[0] = '\0';
    static thread_local const uintptr_t stack_end = StackEnd();  // Reads a file of the system.
    stack_end_ = stack_end;
    MakeSignalStack();
    outer_ = std::exchange(of_thread, this);
    latest = this;
    if (limit == absl::InfiniteDuration()) return;
    node_of_thread_ = &last_node;
    timer_ = std::thread([this, limit] { EndBeyond(limit); });
  }

  ~Implementation() {
    if (timer_.joinable()) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        over_ = true;
      }
      changed_.notify_all();
      timer_.join();
    }
    of_thread = outer_;
    latest = outer_;
    if (signal_stack_.empty()) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
  }

  static Implementation* Current() {
    return of_thread != nullptr ? of_thread : latest.load(std::memory_order_relaxed);
  }

  // Calls only what POSIX lets a signal handler call. Once.
  void Leave(const char* what, const NodeName& name) {
    if (said_.exchange(true)) return;
    char node[kMaxNodeBytes];
    for (size_t i = 0; i < kMaxNodeBytes; ++i) node[i] = name[i].load(std::memory_order_relaxed);
    node[kMaxNodeBytes - 1] = '\0';
    LetCaughtOutputGo();
    Put(words_.who);
    Put(" ");
    Put(what);
    if (node[0] != '\0') Put(", last at node "), Put(node);
    Put("\n");
    for (size_t i = 0; i < words_.files.size(); ++i) {
      if (Write(i, what)) Put(words_.files[i].hint);
    }
  }

  const std::string& who() const { return words_.who; }
  int exit_code() const { return exit_code_; }
  bool StackEndsAt(const void* address) const {
    const auto at = reinterpret_cast<uintptr_t>(address);
    return stack_end_ != 0 && at + kNearStack > stack_end_ && at < stack_end_ + kNearStack / 16;
  }

 private:
  static bool Install() {
    struct sigaction action = {};
    action.sa_sigaction = OnSignal;
    action.sa_flags = SA_ONSTACK | SA_SIGINFO;
    for (size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i].number, &action, &former[i]);
    }
    ::on_exit([](int, void*) { EndIfWatched("called exit"); }, nullptr);
    ::at_quick_exit([] { EndIfWatched("called quick_exit"); });
    return true;
  }

  static void OnSignal(int number, siginfo_t* info, void*) {
    for (size_t i = 0; i < kSignals.size(); ++i) {
      if (kSignals[i].number != number) continue;
      if (Implementation* watch = Current(); watch != nullptr) {
        const bool overflow = number == SIGSEGV && watch->StackEndsAt(info->si_addr);
        watch->Leave(overflow ? kStackOverflow : kSignals[i].what, last_node);
      }
      ::sigaction(number, &former[i], nullptr);
    }
    WriteCoverage();
    // It takes its course when this handler returns: what failed is tried again, and a signal that
    // somebody sent is sent again.
    if (info->si_code <= 0) ::raise(number);
  }

  // A stack that has overflowed cannot run a handler.
  void MakeSignalStack() {
    stack_t known = {};
    if (::sigaltstack(nullptr, &known) != 0 || (known.ss_flags & SS_DISABLE) == 0) return;
    signal_stack_.resize(1 << 16);
    stack_t stack = {};
    stack.ss_sp = signal_stack_.data();
    stack.ss_size = signal_stack_.size();
    ::sigaltstack(&stack, nullptr);
  }

  void EndBeyond(absl::Duration limit) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (changed_.wait_for(lock, absl::ToChronoNanoseconds(limit), [this] { return over_; })) return;
    const std::string what =
        absl::StrCat("was not done after ", absl::FormatDuration(limit), " (--pass_timeout)");
    Leave(what.c_str(), *node_of_thread_);
    EndAtOnce(exit_code_);
  }

  bool Write(size_t i, const char* what) const {
    const LastWords::File& file = words_.files[i];
    for (const std::string& folder : folders_[i]) ::mkdir(folder.c_str(), 0777);
    const int to = ::open(temporaries_[i].c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (to < 0) return false;
    const size_t at = std::min(file.reason_at, file.bytes.size());
    Put(to, file.bytes.data(), at);
    if (at < file.bytes.size()) Put(to, what, std::strlen(what));
    Put(to, file.bytes.data() + at, file.bytes.size() - at);
    ::fsync(to);
    ::close(to);
    return ::rename(temporaries_[i].c_str(), file.path.c_str()) == 0;
  }

  static thread_local Implementation* of_thread;
  static std::atomic<Implementation*> latest;  // For other threads of the code that is watched.

  const LastWords& words_;
  const int exit_code_;
  std::vector<std::vector<std::string>> folders_;  // Above each file, from the root.
  std::vector<std::string> temporaries_;           // Beside each.
  std::vector<char> signal_stack_;
  uintptr_t stack_end_ = 0;
  Implementation* outer_ = nullptr;
  std::atomic<bool> said_ = false;

  const NodeName* node_of_thread_ = nullptr;  // The watched thread's `last_node`, for the timer.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread timer_;
};

thread_local EndWatch::Implementation* EndWatch::Implementation::of_thread = nullptr;
std::atomic<EndWatch::Implementation*> EndWatch::Implementation::latest = nullptr;

EndWatch::EndWatch(const LastWords& words, int exit_code, absl::Duration limit)
    : implementation_(std::make_unique<Implementation>(words, exit_code, limit)) {}

EndWatch::~EndWatch() = default;

void SetLastNode(absl::string_view name) {
  const size_t size = std::min(name.size(), kMaxNodeBytes - 1);
  for (size_t i = 0; i < size; ++i) last_node[i].store(name[i], std::memory_order_relaxed);
  last_node[size].store('\0', std::memory_order_relaxed);
}

void LeaveLastWords(const char* what) {
  EndWatch::Implementation* const watch = EndWatch::Implementation::Current();
  if (watch != nullptr) watch->Leave(what, last_node);
}

void EndIfWatched(const char* what) {
  EndWatch::Implementation* const watch = EndWatch::Implementation::Current();
  if (watch == nullptr) return;
  watch->Leave(what, last_node);
  EndAtOnce(watch->exit_code());
}

const char* WatchedNow() {
  const EndWatch::Implementation* const watch = EndWatch::Implementation::Current();
  return watch == nullptr ? nullptr : watch->who().c_str();
}

absl::Status CrashError(absl::string_view message) {
  absl::Status status = absl::InternalError(message);
  status.SetPayload(kCrashPayload, absl::Cord());
  return status;
}

bool IsCrash(const absl::Status& status) { return status.GetPayload(kCrashPayload).has_value(); }

void SetLastWordsOutput(int file) { output = file; }

}  // namespace mase
