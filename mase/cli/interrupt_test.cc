#include "mase/cli/interrupt.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/system_calls.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// A process that writes a file and gets the signal, `times` times, at a system call of that.
int WriteInterrupted(const std::string& path, SystemCall at, int number, int times, bool watches) {
  const pid_t child = fork();
  if (child == 0) {
    LeaveNoTemporaryFiles();
    if (watches) CatchInterrupt();
    InjectFaults([&](SystemCall call) {
      if (call != at) return 0;
      for (int i = 0; i < times; ++i) raise(number);
      return 0;
    });
    const bool ok = WriteFileAtomically(path, "new").ok();
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(InterruptTest, HalfAFileIsNotLeft) {
  const std::string folder = ::testing::TempDir() + "/interrupt_test", path = folder + "/file";
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    for (const SystemCall at : {SystemCall::kWrite, SystemCall::kSync, SystemCall::kRename}) {
      for (const bool watches : {false, true}) {
        fs::remove_all(folder);
        fs::create_directories(folder);
        ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
        // What watches ends at the second, at once.
        const int status = WriteInterrupted(path, at, number, watches ? 2 : 1, watches);
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), number);
        for (const auto& entry : fs::directory_iterator(folder)) {
          EXPECT_EQ(entry.path().string(), path);
        }
        EXPECT_EQ(*ReadFile(path, 100), "old");
      }
    }
  }
}

TEST(InterruptTest, WhatWatchesWritesItsFile) {
  const std::string path = ::testing::TempDir() + "/interrupt_test_watched";
  EXPECT_EQ(WriteInterrupted(path, SystemCall::kWrite, SIGINT, 1, /*watches=*/true), 0);
  EXPECT_EQ(*ReadFile(path, 100), "new");
}

}  // namespace
}  // namespace mase
