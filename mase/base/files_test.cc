#include "mase/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/system_calls.h"

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

TEST_F(FilesTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  fs::create_symlink(Path("pipe"), Path("link"));
  const auto error = [](const std::string& path) {
    return std::string(ReadFile(path, 1000).status().message());
  };
  EXPECT_THAT(error(Path("pipe")), HasSubstr("pipe: is a pipe, no regular file"));
  EXPECT_THAT(error(Path("link")), HasSubstr("link: is a pipe, no regular file"));
  EXPECT_EQ(error("/dev/zero"), "/dev/zero: is a device, no regular file");
  EXPECT_THAT(error(folder_.string()), HasSubstr("is a directory, no regular file"));
  EXPECT_EQ(ReadFile("/dev/zero", 1000).status().code(), absl::StatusCode::kInvalidArgument);
}

// Of zeros that are not there: what it says of its size is believed before it is read.
TEST_F(FilesTest, AFileThatIsLargerThanTheMemoryIsRefused) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "").ok());
  fs::resize_file(Path("f"), int64_t{1} << 40);
  const absl::Status status = ReadFile(Path("f"), int64_t{1} << 41).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("f wants 1.1 TB of memory"));
}

TEST_F(FilesTest, FilesWithoutASizeAreReadToTheirEndOrTheLimit) {
  EXPECT_GT(ReadFile("/proc/self/maps", 1 << 20).value().size(), 100);
  EXPECT_EQ(ReadFile("/proc/self/maps", 100).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FilesTest, AFileThatChangesWhileItIsReadIsSaidTo) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "0123456789").ok());
  InputFile file = InputFile::Open(Path("f")).value();
  std::string bytes(20, ' ');
  EXPECT_EQ(file.Read({bytes.data(), 4}).value(), 4);
  EXPECT_TRUE(file.CheckUnchanged().ok());
  fs::resize_file(Path("f"), 6);
  EXPECT_EQ(file.Read({bytes.data() + 4, 16}).value(), 2);
  EXPECT_EQ(bytes.substr(0, 6), "012345");
  EXPECT_THAT(std::string(file.CheckUnchanged().message()),
              HasSubstr("f: changed while it was read, from 10 bytes to 6; run again"));
}

TEST_F(FilesTest, AHeadIsWhatTheFileHasOfIt) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "0123456789").ok());
  EXPECT_EQ(ReadHead(Path("f"), 4).value(), "0123");
  EXPECT_EQ(ReadHead(Path("f"), 40).value(), "0123456789");
}

TEST_F(FilesTest, WhatIsNoFileIsWrittenToAndNotReplaced) {
  ASSERT_TRUE(WriteNamedFile("/dev/null", "x").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(WriteNamedFile("/dev/full", "x").code(), absl::StatusCode::kUnavailable);
}

TEST_F(FilesTest, APipeIsWrittenToIfSomebodyReadsIt) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  const absl::Status status = WriteNamedFile(Path("pipe"), "x");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("pipe: cannot open: nobody reads this pipe"));

  // More than a pipe holds, so that writing waits for the reader.
  const std::string bytes(1 << 20, 'x');
  const int reader = ::open(Path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_EQ(::fcntl(reader, F_SETFL, 0), 0);
  std::string got;
  std::thread reading([&] {
    char part[4096];
    while (got.size() < bytes.size()) {
      const ssize_t count = ::read(reader, part, sizeof part);
      if (count > 0) got.append(part, static_cast<size_t>(count));
    }
  });
  EXPECT_TRUE(WriteNamedFile(Path("pipe"), bytes).ok());
  reading.join();
  ::close(reader);
  EXPECT_TRUE(got == bytes);
}

TEST_F(FilesTest, AFilePassesItsPermissionsOnAndALinkStaysOne) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  fs::permissions(Path("f"), fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("f", Path("link"));
  ASSERT_TRUE(WriteNamedFile(Path("link"), "new").ok());
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), "new");
  EXPECT_EQ(fs::status(Path("f")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("nowhere", Path("dangling"));
  EXPECT_EQ(WriteNamedFile(Path("dangling"), "x").code(), absl::StatusCode::kNotFound);
}

// Whoever made the folder would else choose which files of its user are written.
TEST_F(FilesTest, InAFolderOfOurOwnAnythingButAFolderIsReplaced) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  fs::create_symlink("f", Path("link"));
  fs::create_symlink("nowhere", Path("dangling"));
  fs::create_symlink("/dev/null", Path("device"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const char* name : {"link", "dangling", "device", "pipe"}) {
    EXPECT_TRUE(WriteFileAtomically(Path(name), "new").ok()) << name;
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(Path(name)))) << name;
    EXPECT_EQ(ReadFile(Path(name), 100).value(), "new");
  }
  EXPECT_EQ(ReadFile(Path("f"), 100).value(), "old");
  EXPECT_FALSE(fs::exists(Path("nowhere")));
  fs::create_directory(Path("folder"));
  EXPECT_EQ(WriteFileAtomically(Path("folder"), "x").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FilesTest, NamesAFileThatDoesNotExist) {
  const absl::Status status = ReadFile(Path("none"), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("none: cannot open: No such file"));
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

// Every call of a write and a read in turn fails as a disk may fail it.
class FaultTest : public FilesTest {
 protected:
  ~FaultTest() override { InjectFaults(nullptr); }

  // Writes and reads a file while call number `failing` has the fault; how many calls there were.
  int Use(int failing, int fault, absl::Status& written, absl::StatusOr<std::string>& read) {
    int calls = 0;
    InjectFaults([&](SystemCall) { return calls++ == failing ? fault : 0; });
    written = WriteFileAtomically(Path("f"), {"new", std::string(100, 'x')});
    const int calls_of_write = calls;
    read = ReadFile(Path("f"), 1000);
    InjectFaults(nullptr);
    return failing < 0 ? calls : calls_of_write;
  }

  const std::string new_bytes_ = "new" + std::string(100, 'x');
};

TEST_F(FaultTest, ACallThatFailsIsAnErrorAndLeavesTheOldFileOrTheNew) {
  absl::Status written;
  absl::StatusOr<std::string> read;
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  const int calls = Use(-1, 0, written, read);
  ASSERT_GE(calls, 10) << "open, write, write, sync, close, rename, open, sync; open, read";
  for (const int fault : {ENOSPC, EIO, EDQUOT}) {
    for (int failing = 0; failing < calls; ++failing) {
      ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
      const int of_write = Use(failing, fault, written, read);
      EXPECT_EQ(written.ok(), failing >= of_write) << failing;
      EXPECT_EQ(read.ok(), failing < of_write) << failing;
      const std::string now = ReadFile(Path("f"), 1000).value();
      EXPECT_TRUE(now == "old" || now == new_bytes_) << failing;
      EXPECT_EQ(FilesInFolder(), 1) << failing << ": a temporary file is left";
    }
  }
}

TEST_F(FaultTest, InterruptsAndShortWritesAreGoneOnFrom) {
  absl::Status written;
  absl::StatusOr<std::string> read;
  const int calls = Use(-1, 0, written, read);
  for (const int fault : {EINTR, kShortWrite}) {
    for (int failing = 0; failing < calls + 5; ++failing) {
      InjectFaults([&, at = 0](SystemCall call) mutable {
        return call != SystemCall::kClose && at++ == failing ? fault : 0;
      });
      EXPECT_TRUE(WriteFileAtomically(Path("f"), new_bytes_).ok()) << failing;
      EXPECT_EQ(ReadFile(Path("f"), 1000).value(), new_bytes_) << failing;
      InjectFaults(nullptr);
    }
  }
}

}  // namespace
}  // namespace mase
