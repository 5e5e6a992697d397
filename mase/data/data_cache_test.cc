#include "mase/data/data_cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DataCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/cache");
    fs::remove_all(folder_);
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    WriteSource('a');
  }

  void WriteSource(char filling, size_t bytes = 1 << 20) {
    source_ = absl::StrCat(testing::TempDir(), "/source");
    std::ofstream(source_, std::ios::binary) << std::string(bytes, filling);
  }

  // Makes the source look old, as files are that the cache may know by their times.
  void Age() {
    fs::last_write_time(source_, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }

  static bool HasThree(const CachedData& data) { return data.tensors.size() == 3; }

  // One use of the cache. The tensors depend on `seed`, so that it shows where they come from.
  CachedData Use(float seed, absl::string_view recipe = "recipe 1") {
    const auto build = [&]() -> absl::StatusOr<CachedData> {
      ++builds_;
      return CachedData{
          {"t\xffxt", ""},
          {Tensor::FromValues<float>({2, 1}, {seed, 2}), Tensor::Zeros(DType::kInt64, {0}),
           Tensor::FromValues<int64_t>({3}, {7, 8, 9})}};
    };
    const auto data = LoadOrBuild({source_}, recipe, HasThree, build, notes_);
    EXPECT_TRUE(data.ok()) << data.status();
    EXPECT_THAT(data->texts, ElementsAre("t\xffxt", ""));
    EXPECT_THAT(data->tensors, SizeIs(3));
    EXPECT_THAT(data->tensors[2].data<int64_t>(), ElementsAre(7, 8, 9));
    EXPECT_EQ(data->tensors[1].shape(), Shape({0}));
    return *data;
  }

  static float Seed(const CachedData& data) { return data.tensors[0].data<float>()[0]; }

  std::vector<std::string> Kept(const std::string& extension) const {
    std::vector<std::string> files;
    if (!fs::exists(folder_)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() == extension) files.push_back(entry.path().string());
    }
    return files;
  }

  std::string folder_;
  std::string source_;
  int builds_ = 0;
  Notes notes_;
};

TEST_F(DataCacheTest, NotesOfKeptDataAreSaidInEveryRun) {
  Age();
  for (int run = 0; run < 2; ++run) {
    Notes notes;
    const auto build = [run]() -> absl::StatusOr<CachedData> {
      return CachedData{{}, {}, {absl::StrCat("built in run ", run)}};
    };
    const auto fits = [](const CachedData& data) { return data.tensors.empty(); };
    ASSERT_TRUE(LoadOrBuild({source_}, "with notes", fits, build, notes).ok());
    const auto said = notes.Take();
    ASSERT_THAT(said, SizeIs(1));
    EXPECT_EQ(said[0].text, "built in run 0");
  }
}

// A file with valid checksums may hold anything: what its user cannot use is made anew.
TEST_F(DataCacheTest, WhatDoesNotFitIsMadeAnew) {
  Age();
  Use(1);
  int builds = 0;
  const auto build = [&]() -> absl::StatusOr<CachedData> {
    ++builds;
    return CachedData{{}, {Tensor::Zeros(DType::kFloat32, {2})}, {}};
  };
  const auto fits = [](const CachedData& data) { return data.tensors.size() == 1; };
  const auto data = LoadOrBuild({source_}, "recipe 1", fits, build, notes_);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->tensors, SizeIs(1));
  EXPECT_EQ(builds, 1);
  EXPECT_THAT(notes_.Take()[0].text, HasSubstr("damaged: contents; made anew"));
}

TEST_F(DataCacheTest, TheSecondUseLoads) {
  Use(1);
  EXPECT_EQ(Seed(Use(2)), 1);
  EXPECT_EQ(builds_, 1);
  EXPECT_THAT(notes_.Take(), IsEmpty());
}

TEST_F(DataCacheTest, LoadedTensorsAreAlignedAndMayBeWrittenTo) {
  Use(1);
  CachedData data = Use(2);
  for (Tensor& tensor : data.tensors) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.raw_data()) % 64, 0u);
  }
  data.tensors[0].mutable_data<float>()[0] = 5;
  EXPECT_EQ(Seed(Use(3)), 1);
}

TEST_F(DataCacheTest, ContentAndRecipeTellEntriesApart) {
  Use(1);
  EXPECT_EQ(Seed(Use(2, "recipe 2")), 2);
  WriteSource('b');  // As long as before.
  EXPECT_EQ(Seed(Use(3)), 3);
  WriteSource('a');
  EXPECT_EQ(Seed(Use(4)), 1);
  fs::rename(source_, absl::StrCat(source_, "-moved"));
  source_ += "-moved";
  EXPECT_EQ(Seed(Use(5)), 1);
}

TEST_F(DataCacheTest, AnEditShowsAlsoWhereTheTimesAreKnown) {
  Age();
  Use(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // For the change time to differ.
  WriteSource('b');
  Age();
  EXPECT_EQ(Seed(Use(2)), 2);
}

TEST_F(DataCacheTest, SmallSourcesAreNotKept) {
  WriteSource('a', (1 << 20) - 1);
  Use(1);
  EXPECT_EQ(Seed(Use(2)), 2);
  EXPECT_THAT(Kept(".data"), IsEmpty());
}

TEST_F(DataCacheTest, DamageIsNoticedAndRepairedWhereverItIs) {
  Use(1);
  const std::string path = Kept(".data").at(0);
  const size_t size = fs::file_size(path);
  for (size_t at = 0; at < size; ++at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char byte = file.get();
    file.seekp(at);
    file.put(byte ^ 0x10);
    file.close();
    builds_ = 0;
    ASSERT_EQ(Seed(Use(1)), 1);
    const auto notes = notes_.Take();
    if (builds_ == 0) continue;  // Padding.
    ASSERT_THAT(notes, ElementsAre(Field(&Notes::Note::text, HasSubstr("; made anew")))) << at;
  }
  for (size_t cut = 0; cut < size; cut += 7) {
    fs::resize_file(path, cut);
    ASSERT_EQ(Seed(Use(1)), 1);
  }
  notes_.Take();
  EXPECT_EQ(Seed(Use(2)), 1);
  EXPECT_THAT(notes_.Take(), IsEmpty());
}

TEST_F(DataCacheTest, AFolderThatCannotBeWrittenIsOnlyANote) {
  std::ofstream(folder_, std::ios::binary) << "a file where the folder should be";
  EXPECT_EQ(Seed(Use(1)), 1);
  EXPECT_EQ(Seed(Use(2)), 2);
  EXPECT_THAT(notes_.Take(), Each(Field(&Notes::Note::text, HasSubstr("cannot create"))));
  fs::remove(folder_);
}

TEST_F(DataCacheTest, NoHomeMeansNoCache) {
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(Seed(Use(1)), 1);
  EXPECT_EQ(Seed(Use(2)), 2);
  EXPECT_THAT(notes_.Take(), IsEmpty());
}

TEST_F(DataCacheTest, ErrorsOfBuildingPassThroughAndAreNotKept) {
  Notes notes;
  const auto fail = []() -> absl::StatusOr<CachedData> { return absl::DataLossError("torn"); };
  EXPECT_EQ(LoadOrBuild({source_}, "r", HasThree, fail, notes).status(),
            absl::DataLossError("torn"));
  EXPECT_EQ(LoadOrBuild({"/nowhere"}, "r", HasThree, fail, notes).status(),
            absl::DataLossError("torn"));
  EXPECT_THAT(Kept(".data"), IsEmpty());
}

TEST_F(DataCacheTest, ManyProcessesShareTheFolder) {
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int k = 0; k < 50; ++k) {
        std::error_code ignored;  // Deleting the folder is allowed at any time.
        if (k % 10 == i) fs::remove_all(folder_, ignored);
        const CachedData data = Use(1);
        if (Seed(data) != 1) _exit(1);
      }
      _exit(HasFailure() ? 1 : 0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

// The header's key is bytes, of which protobuf has nothing to say on the terminal.
TEST(CacheFileTest, AnotherKeyIsNotFoundWithoutAWord) {
  const std::string path = absl::StrCat(testing::TempDir(), "/cache_file");
  ASSERT_TRUE(WriteCacheFile(path, "\xff\xfe", {{"text"}, {}, {}}).ok());
  testing::internal::CaptureStderr();
  EXPECT_EQ(ReadCacheFile(path, "key").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(ReadCacheFile(path, "\xff\xfe")->texts, ElementsAre("text"));
}

}  // namespace
}  // namespace mase
