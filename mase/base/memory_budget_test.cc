#include "mase/base/memory_budget.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class MemoryBudgetTest : public ::testing::Test {
 protected:
  ~MemoryBudgetTest() override { SetMemoryLimit(MemoryOfMachine()); }
};

TEST_F(MemoryBudgetTest, TheMachineSetsTheLimit) {
  EXPECT_GT(MemoryOfMachine(), int64_t{64} << 20);
  EXPECT_EQ(MemoryLimit(), MemoryOfMachine());
}

TEST_F(MemoryBudgetTest, WhatFitsIsFineAndWhatDoesNotIsNamed) {
  SetMemoryLimit(8'000'000'000);
  EXPECT_OK(CheckMemory(1'000'000'000, "weight"));
  EXPECT_THAT(CheckMemory(14'400'000'000, "weight [60000, 60000]"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("weight [60000, 60000] wants 14.4 GB of memory; "),
                             HasSubstr(" of the limit of 8 GB are taken (--max_memory)"))));
  EXPECT_FALSE(CheckMemory(INT64_MAX, "all").ok());
}

TEST_F(MemoryBudgetTest, WhatWasTakenCountsThoughNobodyWroteToIt) {
  SetMemoryLimit(8'000'000'000);
  CountMemory(7'500'000'000);
  EXPECT_FALSE(CheckMemory(1'000'000'000, "more").ok());
  CountMemory(-7'500'000'000);
  EXPECT_OK(CheckMemory(1'000'000'000, "more"));
}

TEST_F(MemoryBudgetTest, SizesAreReadAsPeopleWriteThem) {
  EXPECT_EQ(ValueOrDie(ParseMemorySize("800MB")), 800'000'000);
  EXPECT_EQ(ValueOrDie(ParseMemorySize(" 1.5 GiB ")), 1'610'612'736);
  EXPECT_EQ(ValueOrDie(ParseMemorySize("4g")), 4'000'000'000);
  EXPECT_EQ(ValueOrDie(ParseMemorySize("1000000")), 1'000'000);
  for (const char* wrong :
       {"", "GB", "-4GB", "999999", "4 pounds", "1e9", "nan", "9999999TB", "4GB4"}) {
    EXPECT_THAT(ParseMemorySize(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no size of memory")))
        << wrong;
  }
}

TEST_F(MemoryBudgetTest, SizesAreWrittenInThreeDigits) {
  EXPECT_EQ(MemoryText(900), "900 bytes");
  EXPECT_EQ(MemoryText(812'345'678), "812 MB");
  EXPECT_EQ(MemoryText(14'400'000'000), "14.4 GB");
}

}  // namespace
}  // namespace mase
