#include "mase/testing/fail_each_call.h"

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/system_calls.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

std::vector<std::string> TemporaryFilesBelow(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (absl::StrContains(entry.path().filename().string(), ".tmp-")) {
      found.push_back(entry.path().string());
    }
  }
  return found;
}

}  // namespace

void FailEachCall(const FailedRuns& runs) {
  const absl::Cleanup no_faults = [] { InjectFaults(nullptr); };
  int calls = 0;
  InjectFaults([&](SystemCall) { return ++calls, 0; });
  ASSERT_OK(runs.run(runs.folder + "/whole"));
  InjectFaults(nullptr);
  ASSERT_GT(calls, 20);
  const std::string whole = Contents(absl::StrCat(runs.folder, "/whole/", runs.file));
  const int faults[] = {ENOSPC, EIO, EINTR, kShortWrite};
  int errors = 0;
  for (int failing = 0; failing < calls; failing += runs.step) {
    const std::string directory = absl::StrCat(runs.folder, "/", failing);
    const int fault = faults[failing % std::size(faults)];
    InjectFaults([&, at = 0](SystemCall) mutable { return at++ == failing ? fault : 0; });
    const absl::Status status = runs.run(directory);
    InjectFaults(nullptr);
    errors += status.ok() ? 0 : 1;
    if (fs::exists(directory)) {
      EXPECT_THAT(TemporaryFilesBelow(directory), ::testing::IsEmpty()) << failing;
    }
    if (!status.ok()) {
      ASSERT_OK(runs.run(directory)) << failing << " " << status;
    }
    EXPECT_TRUE(Contents(absl::StrCat(directory, "/", runs.file)) == whole)
        << failing << " " << status;
    fs::remove_all(directory);
  }
  EXPECT_GT(errors, calls / runs.step / 4) << "most calls are needed";
}

}  // namespace mase
