#include "mase/base/writable.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

std::string Message(const std::string& path) { return std::string(CheckWritable(path).message()); }

TEST(CheckWritableTest, SaysBeforehandWhatIsInTheWay) {
  const std::string folder = ::testing::TempDir();
  EXPECT_TRUE(CheckWritable(folder + "/new").ok());
  EXPECT_TRUE(CheckWritable("/dev/null").ok());
  ASSERT_TRUE(WriteFileAtomically(folder + "/old", "x").ok());
  EXPECT_TRUE(CheckWritable(folder + "/old").ok());
  EXPECT_THAT(Message(folder), HasSubstr("cannot write: Is a directory"));
  EXPECT_EQ(CheckWritable(folder).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(folder + "/none/new"), HasSubstr("none/new: cannot create: No such"));
  EXPECT_THAT(Message(folder + "/old/new"), HasSubstr("old/new: cannot create: Not a directory"));
  EXPECT_EQ(CheckWritable(folder + "/old/new").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadFile(folder + "/old", 9).value(), "x");
}

TEST(CheckNotReadTest, AnOutputThatIsAnInputIsRefusedByWhateverName) {
  const std::string folder = ::testing::TempDir() + "/same";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string input = folder + "/input", link = folder + "/link", hard = folder + "/hard";
  ASSERT_TRUE(WriteFileAtomically(input, "x").ok());
  ASSERT_TRUE(WriteFileAtomically(folder + "/other", "x").ok());
  std::filesystem::create_symlink("input", link);
  std::filesystem::create_hard_link(input, hard);
  for (const std::string& output : {input, link, hard}) {
    const absl::Status status = CheckNotRead(output, input);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(),
              output + ": is the same file as " + input + ", which is read; name another");
  }
  for (const char* other : {"/other", "/none"})
    EXPECT_TRUE(CheckNotRead(folder + other, input).ok());
  EXPECT_TRUE(CheckNotRead(folder + "/none", folder + "/none").ok());
}

}  // namespace
}  // namespace mase
