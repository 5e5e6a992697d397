#include "mase/base/runfiles.h"

#include <cstdlib>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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

}  // namespace
}  // namespace mase
