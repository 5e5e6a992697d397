#include "mase/base/files.h"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / test->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  int FilesInFolder() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), {}));
  }

  fs::path folder_;
};

TEST_F(FilesTest, ReadsWhatWasWritten) {
  const std::string bytes("a\0b\n\xff", 5);
  ASSERT_TRUE(WriteFileAtomically(Path("f"), bytes).ok());
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), bytes);
}

TEST_F(FilesTest, WritesPiecesInOrder) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), {"head", "", "body"}).ok());
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), "headbody");
}

TEST_F(FilesTest, ReadsUpToTheLimitAndRefusesOneByteMore) {
  for (const int size : {0, 1, 65535, 65536, 65537, 300000}) {
    ASSERT_TRUE(WriteFileAtomically(Path("f"), std::string(size, 'x')).ok());
    EXPECT_EQ(ReadFile(Path("f"), size).value().size(), size);
    EXPECT_EQ(ReadFile(Path("f"), size + 1).value().size(), size);
    if (size == 0) continue;
    const absl::Status status = ReadFile(Path("f"), size - 1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("larger than the limit"));
  }
}

TEST_F(FilesTest, StopsReadingAnEndlessFileAtTheLimit) {
  EXPECT_EQ(ReadFile("/dev/zero", 1000).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FilesTest, NamesAFileThatDoesNotExist) {
  const absl::Status status = ReadFile(Path("none"), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("none: cannot open: No such file"));
}

TEST_F(FilesTest, RefusesToReadAFolder) {
  EXPECT_EQ(ReadFile(folder_.string(), 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FilesTest, ReplacesAFileAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "new").ok());
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), "new");
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(FilesTest, AFailedWriteKeepsTheOldFileAndLeavesNoPart) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  // A limit on file sizes stands in for a full disk.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = WriteFileAtomically(Path("f"), std::string(2000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, old_handler);

  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/f: cannot write: File too large"));
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), "old");
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(FilesTest, AnUnknownFolderOrAFolderAsTargetIsAnError) {
  EXPECT_EQ(WriteFileAtomically(Path("no/f"), "x").code(), absl::StatusCode::kNotFound);
  fs::create_directories(Path("d"));
  EXPECT_EQ(WriteFileAtomically(Path("d"), "x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(FilesTest, ThreadsThatWriteOneFileLeaveOneWholeVersion) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(WriteFileAtomically(Path("f"), std::string(10000, 'a' + t)).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string contents = ReadFile(Path("f"), 20000).value();
  EXPECT_EQ(contents, std::string(10000, contents.at(0)));
  EXPECT_EQ(FilesInFolder(), 1);
}

}  // namespace
}  // namespace mase
