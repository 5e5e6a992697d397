#include "mase/run/run_directory.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

TEST(RunDirectoryTest, OneRunAtATimeIsAtIt) {
  RunConfig config;
  config.set_run_dir(NewFolder() + "/run");
  std::optional<RunDirectory> first = ValueOrDie(RunDirectory::Create(config, "train", "m", "d"));
  EXPECT_OK(first->WriteSettings(config));
  EXPECT_THAT(RunDirectory::Reopen(config.run_dir()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another run is at this")));
  first.reset();
  EXPECT_OK(RunDirectory::Reopen(config.run_dir()));
}

// What this does in another process: 0 if it is OK, else the status' code.
int InAnotherProcess(const std::function<absl::Status()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(static_cast<int>(body().code()));
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(RunDirectoryTest, TwoProcessesAreNotAtItTogether) {
  RunConfig config;
  config.set_run_dir(NewFolder() + "/run");
  const auto create = [&] { return RunDirectory::Create(config, "train", "m", "d").status(); };
  const auto reopen = [&] { return RunDirectory::Reopen(config.run_dir()).status(); };
  constexpr int kUnavailable = static_cast<int>(absl::StatusCode::kUnavailable);
  {
    RunDirectory mine = ValueOrDie(RunDirectory::Create(config, "train", "m", "d"));
    EXPECT_EQ(InAnotherProcess(create), static_cast<int>(absl::StatusCode::kAlreadyExists));
    // Also before it has settings, by which a directory is told.
    EXPECT_EQ(InAnotherProcess(reopen), kUnavailable);
    EXPECT_OK(mine.WriteSettings(config));
    EXPECT_EQ(InAnotherProcess(reopen), kUnavailable);
  }
  EXPECT_EQ(InAnotherProcess(reopen), 0);
}

// Of a hundred processes that begin at once without a name, each has a directory of its own.
TEST(RunDirectoryTest, DirectoriesWithoutANameAreNeverShared) {
  RunConfig config;
  config.set_project_dir(NewFolder());
  config.set_project("p");
  std::vector<pid_t> children;
  for (int i = 0; i < 100; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    auto made = RunDirectory::Create(config, "train", "m", "d");
    _exit(made.ok() && made->WriteSettings(config).ok() ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  int directories = 0;
  for (const auto& entry : std::filesystem::directory_iterator(config.project_dir() + "/p")) {
    if (entry.is_symlink()) continue;
    ++directories;
    EXPECT_TRUE(std::filesystem::exists(entry.path() / RunDirectory::kSettings)) << entry.path();
  }
  EXPECT_EQ(directories, 100);
}

// A folder of a stranger does not choose which files of its user are written.
TEST(RunDirectoryTest, NothingIsWrittenBehindLinks) {
  RunConfig config;
  const std::string folder = NewFolder();
  config.set_run_dir(folder + "/run");
  RunDirectory run = ValueOrDie(RunDirectory::Create(config, "train", "m", "d"));
  ASSERT_OK(WriteFileAtomically(folder + "/mine", "precious"));
  fs::create_symlink("../mine", folder + "/run/history.csv");
  EXPECT_OK(run.Write("history.csv", "epochs"));
  EXPECT_EQ(ValueOrDie(ReadFile(folder + "/mine", 100)), "precious");
  EXPECT_EQ(ValueOrDie(ReadFile(folder + "/run/history.csv", 100)), "epochs");
  fs::create_directory(folder + "/elsewhere");
  fs::create_directory_symlink("../elsewhere", folder + "/run/nets");
  EXPECT_THAT(run.Write("nets/a/b.txt", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("run/nets: is a link")));
  EXPECT_TRUE(fs::is_empty(folder + "/elsewhere"));
}

TEST(RunDirectoryTest, WhatAKilledRunWasAtIsRemoved) {
  RunConfig config;
  config.set_run_dir(NewFolder() + "/run");
  {
    RunDirectory run = ValueOrDie(RunDirectory::Create(config, "train", "m", "d"));
    ASSERT_OK(run.WriteSettings(config));
    ASSERT_OK(run.Write(".best.safetensors.tmp-123-4", "half"));
    for (const char* mine : {".hidden", ".notes.tmp-old", "a.tmp-1-2", ".a.tmp-1-x"}) {
      ASSERT_OK(run.Write(mine, "the user's"));
    }
  }
  ASSERT_OK(RunDirectory::Reopen(config.run_dir()));
  EXPECT_FALSE(fs::exists(config.run_dir() + "/.best.safetensors.tmp-123-4"));
  for (const char* mine : {".hidden", ".notes.tmp-old", "a.tmp-1-2", ".a.tmp-1-x"}) {
    EXPECT_TRUE(fs::exists(absl::StrCat(config.run_dir(), "/", mine))) << mine;
  }
  // What is no run is left alone.
  const std::string other = NewFolder();
  ASSERT_OK(WriteFileAtomically(other + "/.a.tmp-1-2", "the user's"));
  EXPECT_THAT(RunDirectory::Reopen(other), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(fs::exists(other + "/.a.tmp-1-2"));
}

TEST(RunDirectoryTest, AFileOfTheNameOfTheLatestRunStays) {
  RunConfig config;
  const std::string folder = NewFolder();
  config.set_project_dir(folder);
  config.set_project("p");
  fs::create_directory(folder + "/p");
  ASSERT_OK(WriteFileAtomically(folder + "/p/train-latest", "mine"));
  ASSERT_OK(RunDirectory::Create(config, "train", "m", "d"));
  EXPECT_EQ(ValueOrDie(ReadFile(folder + "/p/train-latest", 100)), "mine");
}

}  // namespace
}  // namespace mase
