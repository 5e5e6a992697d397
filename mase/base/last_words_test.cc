#include "mase/base/last_words.h"

#include <unistd.h>

#include <bit>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/status.h"
#include "mase/testing/command.h"

namespace mase {
namespace {

using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

volatile int depth = 0;
int Deeper(int n) {
  volatile char room[1 << 12] = {};
  depth = depth + 1;
  return n == 0 ? room[0] : Deeper(n + 1) + room[depth % 100];
}

class LastWordsTest : public ::testing::Test {
 protected:
  // Runs code that ends the program, watched.
  template <typename Code>
  void Watch(Code code, absl::Duration limit = absl::InfiniteDuration()) const {
    const EndWatch watch(words_, /*exit_code=*/7, limit);
    SetLastNode("fc1");
    code();
  }

  const std::string folder_ = NewFolder() + "/left/deep";
  const LastWords words_ = {.who = "pass bad of plugin worse",
                            .files = {{.path = folder_ + "/summary.json",
                                       .bytes = R"({"error": "it "})",
                                       .reason_at = 14,
                                       .hint = "see summary.json\n"}}};
};

TEST_F(LastWordsTest, AnExitIsNoSuccess) {
  EXPECT_EXIT(Watch([] { std::exit(0); }), ExitedWithCode(7),
              "pass bad of plugin worse called exit, last at node fc1\nsee summary.json");
  EXPECT_EQ(*ReadFile(folder_ + "/summary.json", 100), R"({"error": "it called exit"})");
  EXPECT_EXIT(Watch([] { std::quick_exit(0); }), ExitedWithCode(7), "worse called quick_exit");
  EXPECT_EXIT(Watch([] { std::thread([] { std::exit(0); }).join(); }), ExitedWithCode(7),
              "worse called exit");
}

TEST_F(LastWordsTest, ASignalTakesItsCourse) {
  EXPECT_EXIT(Watch([] { std::abort(); }), KilledBySignal(SIGABRT),
              "worse crashed: SIGABRT, it called abort or broke a check, last at node fc1");
  EXPECT_EXIT(Watch([] { raise(SIGSEGV); }), KilledBySignal(SIGSEGV), "crashed: SIGSEGV");
  EXPECT_EXIT(Watch([] {
                // Not null, which a sanitizer would find before the processor does.
                volatile uintptr_t nowhere = sizeof(int);
                *std::bit_cast<volatile int*>(uintptr_t{nowhere}) = 1;
              }),
              KilledBySignal(SIGSEGV), "a memory access that is not allowed");
}

TEST_F(LastWordsTest, AStackThatOverflowsIsCalledThat) {
  EXPECT_EXIT(Watch([] { Deeper(1); }), KilledBySignal(SIGSEGV),
              "worse crashed.* stack overflowed");
}

TEST_F(LastWordsTest, ALoopWithoutEndEnds) {
  EXPECT_EXIT(Watch(
                  [] {
                    for (;;) depth = depth + 1;
                  },
                  absl::Milliseconds(100)),
              ExitedWithCode(7),
              "worse was not done after 100ms .--pass_timeout., last at node fc1");
  Watch([] {}, absl::Seconds(1000));
}

TEST_F(LastWordsTest, NobodyIsWatchedAfterwards) {
  Watch([] { EXPECT_STREQ(WatchedNow(), "pass bad of plugin worse"); });
  EXPECT_EQ(WatchedNow(), nullptr);
  EndIfWatched("does not end here");
  EXPECT_EXIT(std::exit(0), ExitedWithCode(0), "");
}

TEST_F(LastWordsTest, ACrashElsewhereIsKnownAgain) {
  EXPECT_TRUE(IsCrash(Annotate(CrashError("died"), "pass a")));
  EXPECT_FALSE(IsCrash(absl::InternalError("lived")));
}

}  // namespace
}  // namespace mase
