#include "mase/base/folder.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FolderTest, EntriesAreSortedAndErrorsAreStatuses) {
  const std::string folder = ::testing::TempDir() + "/folder_test";
  fs::remove_all(folder);
  fs::create_directories(folder + "/b");
  EXPECT_THAT(*EntriesOf(folder + "/b"), IsEmpty());
  ASSERT_TRUE(WriteFileAtomically(folder + "/c", "x").ok());
  ASSERT_TRUE(WriteFileAtomically(folder + "/.a", "x").ok());
  EXPECT_THAT(*EntriesOf(folder), ElementsAre(folder + "/.a", folder + "/b", folder + "/c"));

  const absl::Status missing = EntriesOf(folder + "/none").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(folder + "/none: cannot read: No such file"));
  EXPECT_EQ(EntriesOf(folder + "/c").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mase
