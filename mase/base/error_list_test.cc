#include "mase/base/error_list.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(ErrorListTest, IsALineForEachErrorWithTheFirstOnesCode) {
  ErrorList errors;
  errors.Add(absl::OkStatus());
  EXPECT_TRUE(errors.empty());
  EXPECT_EQ(errors.Combined(), absl::OkStatus());
  errors.Add(absl::NotFoundError("a\nb"));
  errors.Add(absl::InvalidArgumentError("c"));
  EXPECT_EQ(errors.Combined(), absl::NotFoundError("a\\nb\nc"));
}

TEST(ErrorListTest, SaysHowManyAreNotShown) {
  ErrorList errors;
  for (int i = 0; i < ErrorList::kMaxShown + 2; ++i) {
    errors.Add(absl::InvalidArgumentError(absl::StrCat("e", i)));
  }
  EXPECT_THAT(std::string(errors.Combined().message()), testing::EndsWith("e9\nand 2 more"));
}

}  // namespace
}  // namespace mase
