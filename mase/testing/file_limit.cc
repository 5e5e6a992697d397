#include "mase/testing/file_limit.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/memory_budget.h"

namespace mase {
namespace {

class LittleMemory {
 public:
  LittleMemory() : before_(MemoryLimit()) { SetMemoryLimit(int64_t{64} << 20); }
  ~LittleMemory() { SetMemoryLimit(before_); }

 private:
  const int64_t before_;
};

}  // namespace

void ExpectFileLimit(const std::string& path, int64_t limit,
                     absl::FunctionRef<absl::Status(const std::string&)> read) {
  const LittleMemory memory;
  for (const int64_t bytes : {limit - 1, limit, limit + 1}) {
    std::ofstream(path).close();
    std::filesystem::resize_file(path, bytes);
    const absl::Status status = read(path);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    const std::string reason = bytes > limit
                                   ? absl::StrCat("larger than the limit of ", limit, " bytes")
                                   : std::string("of memory");
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(reason)) << bytes << " bytes";
  }
  std::filesystem::remove(path);
}

}  // namespace mase
