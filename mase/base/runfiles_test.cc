#include "mase/base/runfiles.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/coverage.h"
#include "mase/base/recorded.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TEST(UserPathTest, RelativePathsAreTheCallers) {
  setenv("BUILD_WORKING_DIRECTORY", "/caller", 1);
  EXPECT_EQ(*UserPath("a/../b.csv"), "/caller/b.csv");
  EXPECT_EQ(*UserPath("/a/b.csv"), "/a/b.csv");
  EXPECT_EQ(*UserPath(""), "");
  EXPECT_EQ(*UserPath("./~x"), "/caller/~x");
  EXPECT_EQ(*UserPath("a/~"), "/caller/a/~");
}

TEST(UserPathTest, ATildeIsTheHomeFolder) {
  setenv("HOME", "/home/ada", 1);
  EXPECT_EQ(*UserPath("~"), "/home/ada");
  EXPECT_EQ(*UserPath("~/runs/a"), "/home/ada/runs/a");
}

TEST(UserPathTest, OtherHomesAreRefused) {
  setenv("HOME", "/home/ada", 1);
  const absl::Status other = UserPath("~bob/runs").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(other.message()), HasSubstr("write ./~bob/runs"));

  unsetenv("HOME");
  const absl::Status homeless = UserPath("~/runs").status();
  EXPECT_EQ(homeless.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(homeless.message()), HasSubstr("no HOME"));
}

TEST(UserPathTest, OfReproducibleRunsStaysRelative) {
  unsetenv("BUILD_WORKING_DIRECTORY");
  ASSERT_TRUE(SetReproducible(true).ok());
  EXPECT_EQ(*UserPath("a/../b.csv"), "b.csv");
  ASSERT_TRUE(SetReproducible(false).ok());
  EXPECT_EQ(*UserPath("b.csv"), std::filesystem::current_path() / "b.csv");
}

// Says where a new process with that variable finds "x": it looks once.
[[noreturn]] void Find(const char* variable, const std::string& value) {
  for (const char* other : {"TEST_SRCDIR", "RUNFILES_DIR"}) unsetenv(other);
  setenv(variable, value.c_str(), 1);
  std::fprintf(stderr, "<%s>", Runfile("x").c_str());
  WriteCoverage();
  _exit(0);
}

TEST(RunfileTest, LiesInTheFolderThatBazelNames) {
  const std::string folder = ::testing::TempDir() + "named";
  std::filesystem::create_directories(folder + "/mase");
  const std::string found = "<" + folder + "/mase/x>";
  EXPECT_EXIT(Find("TEST_SRCDIR", folder), ::testing::ExitedWithCode(0), found);
  EXPECT_EXIT(Find("RUNFILES_DIR", folder), ::testing::ExitedWithCode(0), found);
}

TEST(RunfileTest, LiesBesideTheProgramElse) {
  const std::string beside =
      std::filesystem::read_symlink("/proc/self/exe").string() + ".runfiles/mase";
  std::filesystem::create_directories(beside);
  EXPECT_EXIT(Find("RUNFILES_DIR", "/gone"), ::testing::ExitedWithCode(0), "<" + beside + "/x>");
}

}  // namespace
}  // namespace mase
