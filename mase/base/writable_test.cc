#include "mase/base/writable.h"

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

}  // namespace
}  // namespace mase
