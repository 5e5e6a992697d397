#include "mase/base/recorded.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(RecordedTest, IsNowAndHereUntilItIsSet) {
  EXPECT_FALSE(IsReproducible());
  const absl::Time before = absl::Now();
  EXPECT_GE(RecordedTime(), before);
  char host[256] = "";
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  EXPECT_EQ(RecordedHost(), host);
}

TEST(RecordedTest, ReproducibleRunsRecordNothingOfWhenAndWhere) {
  unsetenv("BUILD_WORKING_DIRECTORY");
  ASSERT_TRUE(SetReproducible(true).ok());
  EXPECT_TRUE(IsReproducible());
  EXPECT_EQ(RecordedTime(), absl::UnixEpoch());
  EXPECT_EQ(RecordedHost(), "localhost");
  ASSERT_TRUE(SetReproducible(false).ok());
  EXPECT_FALSE(IsReproducible());
}

TEST(RecordedTest, ReproducibleRunsAreFromTheFolderOfTheirCaller) {
  const std::filesystem::path folder = std::filesystem::canonical(::testing::TempDir());
  setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
  ASSERT_TRUE(SetReproducible(true).ok());
  EXPECT_EQ(std::filesystem::current_path(), folder);
  ASSERT_TRUE(SetReproducible(false).ok());
}

TEST(RecordedTest, ACallersFolderThatIsGoneIsAnError) {
  setenv("BUILD_WORKING_DIRECTORY", "/gone", 1);
  const absl::Status status = SetReproducible(true);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "BUILD_WORKING_DIRECTORY, the folder that a reproducible run is from, cannot be "
            "entered: /gone");
  EXPECT_FALSE(IsReproducible());
}

}  // namespace
}  // namespace mase
