#include "mase/base/in_child.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/base/sanitizers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using Text = absl::StatusOr<std::string>;

constexpr ChildLimits kSmall = {.answer_bytes = 1000, .cpu_seconds = 1, .seconds = 20};

// "DATA_LOSS: crashed (SIGSEGV)", or the text.
std::string Said(const Text& answer) { return answer.ok() ? *answer : answer.status().ToString(); }
std::string Ask(absl::FunctionRef<Text()> function, const ChildLimits& limits = kSmall) {
  return Said(RunInChild(function, limits));
}

int OpenFiles() {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    count += file.exists() || file.is_symlink();
  }
  return count;
}

[[noreturn]] void Crash() {
  ::raise(SIGSEGV);
  std::abort();
}

[[noreturn]] void Spin() {
  for (volatile int turns = 0;;) turns = turns ^ 1;
}

TEST(InChildTest, ATextComesBackAsItIs) {
  EXPECT_EQ(Ask([]() -> Text { return "a text"; }), "a text");
  EXPECT_EQ(Ask([]() -> Text { return ""; }), "");
  const std::string zeros("\0a\0\xff", 4);
  EXPECT_EQ(Ask([&]() -> Text { return zeros; }), zeros);
}

TEST(InChildTest, AnErrorComesBackWithItsCode) {
  const Text answer = RunInChild([]() -> Text { return absl::NotFoundError("no such"); }, kSmall);
  EXPECT_EQ(answer.status(), absl::NotFoundError("no such"));
}

TEST(InChildTest, NothingElseComesBack) {
  int changed = 0;
  EXPECT_NE(Ask([&]() -> Text {
              changed = 1;
              return absl::StrCat(::getpid());
            }),
            absl::StrCat(::getpid()));
  EXPECT_EQ(changed, 0);
}

TEST(InChildTest, WhatCrashesOrEndsIsDamaged) {
  EXPECT_EQ(Ask([]() -> Text { Crash(); }), "DATA_LOSS: crashed (SIGSEGV)");
  EXPECT_EQ(Ask([]() -> Text { std::abort(); }), "DATA_LOSS: crashed (SIGABRT)");
  EXPECT_EQ(Ask([]() -> Text { std::exit(0); }), "DATA_LOSS: ended without an answer");
  EXPECT_EQ(Ask([]() -> Text { ::_exit(3); }), "DATA_LOSS: ended without an answer");
}

TEST(InChildTest, WhatThrowsSaysSo) {
  EXPECT_EQ(Ask([]() -> Text { throw std::runtime_error("that is all"); }),
            "INTERNAL: reading threw: that is all");
}

TEST(InChildTest, WhatDoesNotEndIsEnded) {
  EXPECT_EQ(Ask([]() -> Text { Spin(); }), "DATA_LOSS: did not end within 1 s of a processor");
  EXPECT_EQ(Ask(
                []() -> Text {
                  for (;;) ::pause();
                },
                {.answer_bytes = 1, .seconds = 1}),
            "DATA_LOSS: did not end within 1 s");
}

TEST(InChildTest, AnAnswerIsAsLongAsTheLimit) {
  // More than a pipe holds, too.
  for (const size_t limit : {size_t{1000}, size_t{1} << 20}) {
    const ChildLimits limits = {.answer_bytes = static_cast<int64_t>(limit)};
    EXPECT_EQ(Ask([&]() -> Text { return std::string(limit, 'x'); }, limits),
              std::string(limit, 'x'));
    EXPECT_THAT(Ask([&]() -> Text { return std::string(limit + 1, 'x'); }, limits),
                HasSubstr("RESOURCE_EXHAUSTED: an answer of 10"));
  }
}

TEST(InChildTest, MemoryIsAsMuchAsTheLimit) {
  if (!kAddressesAreBounded) GTEST_SKIP() << "a sanitizer's build";
  const auto take = [](size_t bytes) -> Text { return std::string(bytes, 'x').substr(0, 1); };
  const ChildLimits limits = {.answer_bytes = 100, .memory_bytes = 64 << 20};
  EXPECT_EQ(Ask([&] { return take(32 << 20); }, limits), "x");
  EXPECT_EQ(Ask([&] { return take(128 << 20); }, limits),
            "RESOURCE_EXHAUSTED: more than 67108864 bytes of memory");
}

// docs/robustness.md tells users these figures.
TEST(InChildTest, WhereNothingIsSaidTimeIsThatOfAll) {
  EXPECT_EQ(limits::kChildCpuSeconds, 5);
  EXPECT_EQ(limits::kChildSeconds, 60);
  const ChildLimits limits = {.answer_bytes = 100};
  const auto processor = []() -> Text {
    rlimit time = {};
    ::getrlimit(RLIMIT_CPU, &time);
    return absl::StrCat(time.rlim_cur);
  };
  EXPECT_EQ(Ask(processor, limits), absl::StrCat(limits::kChildCpuSeconds));
  const std::string left = Ask([]() -> Text { return absl::StrCat(::alarm(0)); }, limits);
  int64_t seconds = 0;
  ASSERT_TRUE(absl::SimpleAtoi(left, &seconds)) << left;
  EXPECT_LE(seconds, limits::kChildSeconds);
  EXPECT_GE(seconds, limits::kChildSeconds - 9);  // What a busy machine takes until then.
}

TEST(InChildTest, WhereNothingIsSaidMemoryIsThatOfAll) {
  if (!kAddressesAreBounded) GTEST_SKIP() << "a sanitizer's build";
  EXPECT_EQ(limits::kChildMemoryBytes, int64_t{512} << 20);
  const ChildLimits limits = {.answer_bytes = 100};
  const auto take = [](int64_t bytes) -> Text {
    void* const area = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return area == MAP_FAILED ? "no" : "yes";
  };
  // A little is for what the child itself takes meanwhile.
  EXPECT_EQ(Ask([&] { return take(limits::kChildMemoryBytes - (1 << 20)); }, limits), "yes");
  EXPECT_EQ(Ask([&] { return take(limits::kChildMemoryBytes + 4096); }, limits), "no");
}

TEST(InChildTest, NothingIsLeft) {
  const int open = OpenFiles();
  for (int i = 0; i < 20; ++i) {
    Ask([]() -> Text { return "a"; });
    Ask([]() -> Text { Crash(); });
    Ask([]() -> Text { return std::string(1 << 20, 'x'); });
  }
  EXPECT_EQ(OpenFiles(), open);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_FALSE(std::filesystem::exists("core"));
}

TEST(InChildTest, ThreadsRunOneAfterAnother) {
  std::vector<std::string> said(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < said.size(); ++i) {
    threads.emplace_back([&, i] { said[i] = Ask([&]() -> Text { return std::string(i, 'x'); }); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < said.size(); ++i) EXPECT_EQ(said[i], std::string(i, 'x'));
}

TEST(InChildTest, WithoutFilesItSaysSo) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string said = Ask([]() -> Text { return "a"; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(said, "UNAVAILABLE: cannot make a pipe: Too many open files");
}

// ---- Signals

volatile sig_atomic_t caught = 0;

TEST(InChildTest, SignalsAreTakenHere) {
  caught = 0;
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {
    caught = caught + 1;
  };  // Without SA_RESTART: calls are interrupted.
  ::sigaction(SIGINT, &action, &before);
  EXPECT_EQ(Ask([]() -> Text {
              ::raise(SIGINT);  // As a terminal sends it to both.
              for (int i = 0; i < 5; ++i) {
                ::kill(::getppid(), SIGINT);
                ::usleep(2000);
              }
              return std::to_string(caught);
            }),
            "0");
  ::sigaction(SIGINT, &before, nullptr);
  EXPECT_GE(caught, 1);
}

TEST(InChildTest, AChildEndsWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::close(ends[0]);
    ::signal(SIGINT, SIG_DFL);  // Shells let programs in the background ignore it.
    Ask([]() -> Text {
      ::kill(::getppid(), SIGINT);
      for (;;) ::pause();
    });
    ::_exit(0);
  }
  ::close(ends[1]);
  int state = 0;
  ASSERT_EQ(::waitpid(parent, &state, 0), parent);
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGINT);
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // Nobody has the other end any more.
  ::close(ends[0]);
}

TEST(InChildTest, ExitHandlersOfTheProgramDoNotRun) {
  EXPECT_EXIT(
      {
        std::atexit([] { std::fputs("once;", stderr); });
        Ask([]() -> Text { std::exit(1); });
        Ask([]() -> Text { return "a"; });
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^once;$");
}

}  // namespace
}  // namespace mase
